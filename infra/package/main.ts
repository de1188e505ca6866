// Builds what is installed: a .deb for each architecture, and the npm tarball. `npm run package`, or
// `npm run package -- --only amd64` (or arm64, npm). Needs Node.js, npm and dpkg-deb; no root.
import { createHash } from 'node:crypto';
import { mkdir, readFile } from 'node:fs/promises';
import { join, relative } from 'node:path';
import { parseArgs } from 'node:util';
import { execa } from 'execa';
import { buildDeb } from './deb.ts';
import { type Architecture, architectures } from './program.ts';
import { buildTarball } from './tarball.ts';

const root = join(import.meta.dirname, '../..');
const { values } = parseArgs({ options: { only: { type: 'string' }, into: { type: 'string' } } });
const into = values.into ?? join(root, 'build');
const known = [...Object.keys(architectures), 'npm'];
if (values.only !== undefined && !known.includes(values.only)) {
  console.error(`--only ${values.only}: one of ${known.join(', ')}`);
  process.exit(2);
}

const wanted = (what: string) => values.only === undefined || values.only === what;
const { version } = JSON.parse(await readFile(join(root, 'package.json'), 'utf8')) as { version: string };
const time = await commitTime();
await mkdir(into, { recursive: true });
const built: string[] = [];
for (const architecture of Object.keys(architectures) as Architecture[])
  if (wanted(architecture)) built.push(await buildDeb({ root, into, architecture, version, time }));
if (wanted('npm')) built.push(await buildTarball(root, into, time));
for (const path of built) {
  const bytes = await readFile(path);
  const size = `${(bytes.length / 1e6).toFixed(1)} MB`;
  console.log(`${relative(process.cwd(), path)}  ${size}  sha256 ${createHash('sha256').update(bytes).digest('hex')}`);
}

/** SOURCE_DATE_EPOCH (reproducible-builds.org), or the time of the commit. */
async function commitTime(): Promise<number> {
  if (process.env.SOURCE_DATE_EPOCH) return Number(process.env.SOURCE_DATE_EPOCH);
  const { stdout } = await execa('git', ['log', '-1', '--format=%ct'], { cwd: root });
  return Number(stdout);
}
