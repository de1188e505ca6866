import { cp, mkdir, readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { execa } from 'execa';
import { normalize } from './files.ts';
import { layDist, manifest } from './program.ts';

const fields = ['name', 'version', 'description', 'license', 'type', 'engines', 'os', 'bin'];

interface Lock {
  packages: Record<string, { version?: string; dev?: boolean; optional?: boolean }>;
}

/**
 * Builds the npm tarball and answers its path. It depends on the very versions that were tested: whoever installs it gets
 * neither this folder's "overrides" nor its lock, and npm follows a lock in a tarball only where that comes from a registry.
 */
export async function buildTarball(root: string, into: string, time: number): Promise<string> {
  const stage = join(into, 'stage-npm');
  await rm(stage, { recursive: true, force: true });
  await mkdir(stage, { recursive: true });
  await layDist(root, join(stage, 'dist'));
  for (const file of ['README.md', 'LICENSE']) await cp(join(root, file), join(stage, file));
  const lock = JSON.parse(await readFile(join(root, 'package-lock.json'), 'utf8')) as Lock;
  const own = { files: ['dist'], dependencies: pinned(lock) };
  await writeFile(join(stage, 'package.json'), await manifest(root, fields, own));
  await normalize(stage, (path) => /^dist\/(src\/controller|agents\/agent|src\/cli\/dsrctl)\.js$/.test(path), time);
  const { stdout } = await execa('npm', ['pack', '--ignore-scripts', '--pack-destination', into, '--json'], {
    cwd: stage,
  });
  const [{ filename }] = JSON.parse(stdout) as [{ filename: string }];
  await rm(stage, { recursive: true });
  return join(into, filename);
}

/** Every package that is not within another, with its version. Those of one platform are chosen by what needs them. */
const pinned = ({ packages }: Lock): Record<string, string> =>
  Object.fromEntries(
    Object.entries(packages).flatMap(([path, { version, dev, optional }]) => {
      const name = /^node_modules\/((?:@[^/]+\/)?[^/]+)$/.exec(path)?.[1];
      return name && version && !dev && !optional ? [[name, version]] : [];
    }),
  );
