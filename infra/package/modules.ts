import { cp, mkdir, readdir, readFile, rm } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { execa } from 'execa';
import { filesBelow, removeEmptyFolders } from './files.ts';
import { isLicence, isRun, isUnused } from './strip.ts';

/** One npm package that is shipped. */
export interface Module {
  /** Below the program's folder, such as node_modules/zod. */
  path: string;
  name: string;
  version: string;
  /** SPDX. */
  license: string;
  author: string;
  homepage: string;
  /** Text of its licence file; undefined where it has none. */
  licenseText: string | undefined;
}

/** Installs what the lock file says for an architecture, without what only development needs. */
export async function installModules(root: string, folder: string, cpu: string): Promise<void> {
  await mkdir(folder, { recursive: true });
  for (const file of ['package.json', 'package-lock.json', '.npmrc']) await cp(join(root, file), join(folder, file));
  const flags = ['--omit=dev', `--cpu=${cpu}`, '--os=linux', '--libc=glibc', '--ignore-scripts', '--no-bin-links'];
  await execa('npm', ['ci', ...flags, '--prefer-offline', '--loglevel=error'], { cwd: folder, stdio: 'inherit' });
}

/** Removes what is never run, and answers what is left. */
export async function stripModules(folder: string): Promise<Module[]> {
  const shipped: Module[] = [];
  await rm(join(folder, 'node_modules/.package-lock.json'), { force: true });
  for (const path of await modulePaths(folder)) {
    const at = join(folder, path);
    const manifest = JSON.parse(await readFile(join(at, 'package.json'), 'utf8')) as Manifest;
    const own = (await filesBelow(at)).filter((file) => !file.startsWith('node_modules/'));
    const left = own.filter((file) => !isUnused(manifest.name, file));
    const kept = isRun(left) ? left : [];
    const isKept = new Set(kept);
    await Promise.all(own.filter((file) => !isKept.has(file)).map((file) => rm(join(at, file))));
    if (kept.length > 0) shipped.push(await describe(at, path, manifest, kept));
  }
  await removeEmptyFolders(folder);
  return shipped;
}

interface Manifest {
  name: string;
  version: string;
  license?: string | { type: string };
  author?: string | { name: string; email?: string };
  homepage?: string;
}

async function describe(at: string, path: string, manifest: Manifest, files: string[]): Promise<Module> {
  const { name, version, license, author, homepage } = manifest;
  const file = files.find((one) => isLicence(one) && dirname(one) === '.');
  return {
    path,
    name,
    version,
    license: typeof license === 'object' ? license.type : (license ?? 'unknown'),
    author: typeof author === 'object' ? author.name : (author?.replace(/ *[<(].*/, '') ?? `the authors of ${name}`),
    homepage: homepage ?? `the npm package ${name}`,
    licenseText: file && (await readFile(join(at, file), 'utf8')),
  };
}

/** Folders of installed packages, those within others too; sorted. */
async function modulePaths(folder: string, below = 'node_modules'): Promise<string[]> {
  const found: string[] = [];
  for (const name of await names(join(folder, below))) {
    const path = join(below, name);
    found.push(path);
    found.push(...(await modulePaths(folder, join(path, 'node_modules'))));
  }
  return found.sort();
}

async function names(folder: string): Promise<string[]> {
  const list = await readdir(folder).catch(() => []);
  const scoped = list.filter((name) => name.startsWith('@'));
  const inScopes = await Promise.all(
    scoped.map(async (scope) => (await readdir(join(folder, scope))).map((name) => join(scope, name))),
  );
  return [...list.filter((name) => !/^[.@]/.test(name)), ...inScopes.flat()];
}
