import { mkdirSync, readFileSync, renameSync, statSync, writeFileSync } from 'node:fs';
import { dirname, join, relative } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = join(import.meta.dirname, '../..');

/** A hook of node:module's register. */
export async function load(url, context, next) {
  if (!/^file:[^?]*\.ts(\?|$)/.test(url) || url.includes('/node_modules/')) return next(url, context);
  return { format: 'module', source: await compiled(fileURLToPath(url)), shortCircuit: true };
}

const timeOf = (path) => statSync(path, { throwIfNoEntry: false })?.mtimeMs ?? 0;

/** The JavaScript of a file of TypeScript, with its source map; kept, of those of this repository. */
export async function compiled(file) {
  const path = relative(root, file);
  if (path.startsWith('..')) return compile(file);
  const kept = `${join(root, '.lab/compiled', path)}.js`;
  if (timeOf(kept) > timeOf(file)) return readFileSync(kept, 'utf8');
  const code = await compile(file);
  mkdirSync(dirname(kept), { recursive: true });
  writeFileSync(`${kept}.${process.pid}`, code);
  renameSync(`${kept}.${process.pid}`, kept);
  return code;
}

async function compile(file) {
  const { transform } = await import('esbuild');
  const options = { loader: 'ts', sourcefile: file, sourcemap: 'inline', target: 'node20' };
  const { code } = await transform(readFileSync(file, 'utf8'), options);
  return code;
}
