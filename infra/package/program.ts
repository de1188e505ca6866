import { cp, mkdir, readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { filesBelow } from './files.ts';
import { installModules, type Module, stripModules } from './modules.ts';
import { bomOf, readBom } from './sbom.ts';

/** What npm calls an architecture of Debian. */
export const architectures = { amd64: 'x64', arm64: 'arm64' } as const;
export type Architecture = keyof typeof architectures;

/** The programs as they are installed: dist, node_modules, package.json. */
export interface Program {
  modules: Module[];
  /** CycloneDX. */
  bom: string;
}

const fields = ['name', 'version', 'license', 'type', 'engines', 'dependencies'];

/** Puts the built programs and what they run with into a folder. `time` is in seconds since 1970. */
export async function layProgram(
  root: string,
  folder: string,
  architecture: Architecture,
  time: number,
): Promise<Program> {
  await rm(folder, { recursive: true, force: true });
  await installModules(root, folder, architectures[architecture]);
  await writeFile(join(folder, 'package.json'), await manifest(root, fields));
  const bom = await readBom(folder);
  const modules = await stripModules(folder);
  await layDist(root, join(folder, 'dist'));
  for (const file of ['package-lock.json', '.npmrc']) await rm(join(folder, file));
  return { modules, bom: bomOf(bom, modules, time) };
}

/** What was built, without source maps: the sources that they lead to are not shipped. */
export async function layDist(root: string, to: string): Promise<void> {
  const from = join(root, 'dist');
  for (const file of await filesBelow(from)) {
    if (file.endsWith('.map')) continue;
    await mkdir(join(to, file, '..'), { recursive: true });
    if (!/\.js$/.test(file) || file.startsWith('web/')) await cp(join(from, file), join(to, file));
    else await writeFile(join(to, file), withoutMap(await readFile(join(from, file), 'utf8')));
  }
}

const withoutMap = (text: string) => text.replace(/\n\/\/# sourceMappingURL=.*\n?$/, '\n');

/** These fields of package.json, with others in their place, as text. */
export async function manifest(root: string, fields: readonly string[], others: object = {}): Promise<string> {
  const whole = JSON.parse(await readFile(join(root, 'package.json'), 'utf8')) as Record<string, unknown>;
  return `${JSON.stringify({ ...Object.fromEntries(fields.map((field) => [field, whole[field]])), ...others }, null, 2)}\n`;
}
