import { cp, mkdir, readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { execa } from 'execa';
import { normalize } from './files.ts';
import { layDist, manifest } from './program.ts';

const fields = ['name', 'version', 'description', 'license', 'type', 'engines', 'os', 'bin', 'files', 'dependencies'];

interface Lock {
  packages: Record<string, { dev?: boolean; devDependencies?: unknown }>;
}

/**
 * Builds the npm tarball and answers its path. It carries its lock (npm-shrinkwrap.json), so that whoever installs it gets
 * the versions that were tested: npm follows "overrides" only in the folder it is run in.
 */
export async function buildTarball(root: string, into: string, time: number): Promise<string> {
  const stage = join(into, 'stage-npm');
  await rm(stage, { recursive: true, force: true });
  await mkdir(stage, { recursive: true });
  await layDist(root, join(stage, 'dist'));
  for (const file of ['README.md', 'LICENSE']) await cp(join(root, file), join(stage, file));
  await writeFile(join(stage, 'package.json'), await manifest(root, fields));
  const lock = JSON.parse(await readFile(join(root, 'package-lock.json'), 'utf8')) as Lock;
  await writeFile(join(stage, 'npm-shrinkwrap.json'), `${JSON.stringify(withoutDevelopment(lock), null, 2)}\n`);
  await normalize(stage, (path) => /^dist\/(src\/controller|agents\/agent|src\/cli\/dsrctl)\.js$/.test(path), time);
  const { stdout } = await execa('npm', ['pack', '--ignore-scripts', '--pack-destination', into, '--json'], {
    cwd: stage,
  });
  const [{ filename }] = JSON.parse(stdout) as [{ filename: string }];
  await rm(stage, { recursive: true });
  return join(into, filename);
}

function withoutDevelopment(lock: Lock): Lock {
  const packages = Object.entries(lock.packages)
    .filter(([, { dev }]) => !dev)
    .map(([path, { devDependencies: _, ...rest }]) => [path, rest]);
  return { ...lock, packages: Object.fromEntries(packages) };
}
