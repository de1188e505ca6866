import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { chmodSync, mkdirSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import t from 'tap';
import { z } from 'zod';
import { type DocumentOptions, openDocument } from '../../src/store/document.ts';
import { typescript } from '../typescript.ts';

interface Value {
  revision: number;
  text?: string | undefined;
}
const schema = z.strictObject({ revision: z.number(), text: z.string().optional() });
const open = (folder: string, more: Partial<DocumentOptions<Value>> = {}) =>
  openDocument<Value>({ path: join(folder, 'value.json'), version: 3, schema, initial: { revision: 0 }, ...more });
const fileOf = (folder: string) => join(folder, 'value.json');
const textOf = (folder: string) => readFileSync(fileOf(folder), 'utf8');

t.test('without a file the value is the initial one, and nothing is written', async (t) => {
  const folder = t.testdir({});
  t.strictSame(open(folder).get(), { revision: 0 });
  t.strictSame(readdirSync(folder), []);
});

t.test('a change is in the file when it resolves, and there for the next start', async (t) => {
  const folder = join(t.testdir({}), 'not/yet/there');
  const document = open(folder);
  t.strictSame(await document.change(() => ({ revision: 1, text: 'x' })), { revision: 1, text: 'x' });
  t.strictSame(JSON.parse(textOf(folder)), { version: 3, revision: 1, text: 'x' });
  t.strictSame(open(folder).get(), { revision: 1, text: 'x' });
  t.strictSame(readdirSync(folder), ['value.json']);
  t.equal(statSync(fileOf(folder)).mode & 0o777, 0o600, 'nobody else may read it');
  t.equal(statSync(folder).mode & 0o777, 0o700);
});

t.test('changes go one after the other, each upon the one before', async (t) => {
  const folder = t.testdir({});
  const seen: number[] = [];
  const document = open(folder, { changed: ({ revision }) => seen.push(revision) });
  const add = ({ revision }: Value) => ({ revision: revision + 1 });
  await Promise.all(Array.from({ length: 20 }, () => document.change(add)));
  t.strictSame(
    seen,
    Array.from({ length: 20 }, (_, i) => i + 1),
  );
  t.strictSame(open(folder).get(), { revision: 20 });
});

t.test('a change to the same value writes nothing and tells nobody', async (t) => {
  const folder = t.testdir({});
  const document = open(folder, { changed: () => t.fail('nothing changed') });
  await document.change((value) => value);
  t.strictSame(readdirSync(folder), []);
});

t.test('a change that throws leaves value and file, and those after it go on', async (t) => {
  const folder = t.testdir({});
  const document = open(folder);
  const refused = document.change(() => {
    throw new Error('no');
  });
  const after = document.change(({ revision }) => ({ revision: revision + 1 }));
  await t.rejects(refused, { message: 'no' });
  t.strictSame(await after, { revision: 1 });
  t.strictSame(open(folder).get(), { revision: 1 });
});

t.test('a file that cannot be written leaves the value as it was, says what to do, and is tried anew', async (t) => {
  const folder = t.testdir({ 'value.json': '{"version":3,"revision":1}' });
  const document = open(folder);
  rmSync(fileOf(folder));
  mkdirSync(join(fileOf(folder), 'in the way'), { recursive: true });
  const told: number[] = [];
  await t.rejects(
    document.change(() => ({ revision: 2 })),
    { code: 'STATE_NOT_SAVED', message: /nothing was changed\. Make room/ },
  );
  t.strictSame(document.get(), { revision: 1 });
  t.strictSame(told, []);
  rmSync(fileOf(folder), { recursive: true });
  t.strictSame(await document.change(({ revision }) => ({ revision: revision + 1 })), { revision: 2 });
  t.strictSame(open(folder).get(), { revision: 2 });
  t.strictSame(readdirSync(folder), ['value.json'], 'no leftover');
});

const refused: [string, string, string, RegExp][] = [
  ['an empty file', '', 'STATE_CORRUPT', /is damaged/],
  ['half a file', '{"version":3,"revi', 'STATE_CORRUPT', /is damaged/],
  ['zeros, as after a power cut', '\0\0\0\0', 'STATE_CORRUPT', /is damaged/],
  ['JSON that is no object', '[]', 'STATE_CORRUPT', /no format version/],
  ['null', 'null', 'STATE_CORRUPT', /no format version/],
  ['no version', '{"revision":1}', 'STATE_CORRUPT', /no format version/],
  ['a version that never was', '{"version":"3","revision":1}', 'STATE_CORRUPT', /no format version/],
  ['a wrong field', '{"version":3,"revision":"1"}', 'STATE_CORRUPT', /\(revision: /],
  ['a field too many', '{"version":3,"revision":1,"more":1}', 'STATE_CORRUPT', /is damaged/],
  [
    'a newer version',
    '{"version":4,"anything":1}',
    'STATE_NEWER',
    /format 4; this one reads 3.*Install that version again/,
  ],
];

t.test('a file that is no good is refused by name, with what to do, and nothing is touched', async (t) => {
  for (const [what, content, code, message] of refused) {
    const folder = t.testdir({ 'value.json': content, 'value.json.123': 'left over' });
    const path = fileOf(folder);
    t.throws(() => open(folder), { code, message, exitCode: 1 }, what);
    t.throws(() => open(folder), { message: `mv ${path} ${path}.` }, `${what}: the way to start without it`);
    t.throws(() => open(folder), { message: /Nothing was changed/ });
    t.equal(textOf(folder), content);
    t.strictSame(readdirSync(folder).sort(), ['value.json', 'value.json.123']);
  }
});

t.test('a file that cannot be read is not taken for one that is not there', async (t) => {
  const folder = t.testdir({ 'value.json': {} });
  t.throws(() => open(folder), { code: 'STATE_UNREADABLE', message: /value\.json cannot be read: EISDIR/ });
  if (process.getuid?.() === 0) return;
  const secret = t.testdir({ 'value.json': '{"version":3,"revision":1}' });
  chmodSync(fileOf(secret), 0);
  t.throws(() => open(secret), { code: 'STATE_UNREADABLE', message: /EACCES/ });
});

t.test('what a crash in mid-write left is swept at the next start; other files are not ours', async (t) => {
  const others = { 'value.json.bad': '1', 'value.json.': '2', 'other.json.7': '3', 'value.json.7x': '4' };
  const folder = t.testdir({ 'value.json': '{"version":3,"revision":1}', 'value.json.3735928559': '{"ver', ...others });
  open(folder);
  t.strictSame(readdirSync(folder).sort(), ['value.json', ...Object.keys(others)].sort());
});

/** A writer in a process of its own; `acknowledged` is the last revision that it said is on disk. */
async function startWriter(path: string, size: number) {
  const argv = [...typescript, join(import.meta.dirname, 'writer.ts'), path, String(size)];
  const child = spawn(process.execPath, argv, { stdio: ['ignore', 'pipe', 'inherit'] });
  const writer = { child, acknowledged: 0, exited: once(child, 'close') };
  let partial = '';
  child.stdout.on('data', (data: Buffer) => {
    const lines = (partial + data).split('\n');
    partial = lines.pop() ?? '';
    writer.acknowledged = Number(lines.at(-1) ?? writer.acknowledged);
  });
  await Promise.race([once(child.stdout, 'data'), writer.exited]);
  return writer;
}

const openWritten = (path: string) =>
  openDocument({
    path,
    version: 1,
    schema: z.strictObject({ revision: z.number(), text: z.string() }),
    initial: { revision: 0, text: '' },
  });

t.test('killed at any moment, the file is whole, and what was acknowledged is in it', async (t) => {
  const rounds = 9;
  let swept = 0;
  const round = async (i: number) => {
    const path = join(t.testdirName, String(i), 'value.json');
    const writer = await startWriter(path, 300_000);
    // Not a wait for something: the moment of death is what is chosen here.
    await sleep(Math.random() * 40);
    writer.child.kill('SIGKILL');
    await writer.exited;
    swept += readdirSync(join(path, '..')).length - 1;
    const { revision, text } = openWritten(path).get();
    t.ok(revision >= writer.acknowledged, `revision ${revision} is on disk, ${writer.acknowledged} was acknowledged`);
    t.ok(text === String(revision % 10).repeat(300_000), 'all of one revision');
    t.strictSame(readdirSync(join(path, '..')), ['value.json']);
  };
  t.testdir({});
  for (let i = 0; i < rounds; i += 3) await Promise.all([i, i + 1, i + 2].map(round));
  t.comment(`${swept} of ${rounds} were killed in mid-write`);
});

// In mount and user namespaces of its own, where the system lets us have them.
const onSmallDisk = `mount -t tmpfs -o size=128k small "$1" && printf %s "$2" > "$1/value.json" && shift 2 &&
  "$@" 2>&1 | grep -o 'value.json cannot be written.*'; cat "\${@: -2:1}"; ls "$(dirname "\${@: -2:1}")"`;

const noSmallDisk =
  spawnSync('unshare', ['-rm', 'mount', '-t', 'tmpfs', 'small', '/mnt']).status !== 0 &&
  'this system allows no namespace to mount a small disk in';

t.test('a disk that fills up in mid-write leaves the old file whole', { skip: noSmallDisk }, async (t) => {
  const folder = t.testdir({});
  const old = JSON.stringify({ version: 1, revision: 7, text: 'old' });
  const writer = [process.execPath, ...typescript, join(import.meta.dirname, 'writer.ts'), fileOf(folder), '300000'];
  const { stdout } = spawnSync('unshare', ['-rm', 'bash', '-c', onSmallDisk, 'bash', folder, old, ...writer], {
    encoding: 'utf8',
    timeout: 120_000,
  });
  t.match(stdout, /cannot be written \(ENOSPC.*nothing was changed/);
  t.ok(stdout.endsWith(`${old}value.json\n`), 'the old file, and nothing beside it');
});

t.test('a file of some megabytes is a file as well', async (t) => {
  const folder = t.testdir({});
  const text = 'ä'.repeat(2_000_000);
  await open(folder).change(() => ({ revision: 1, text }));
  t.ok(open(folder).get().text === text);
  writeFileSync(fileOf(folder), textOf(folder).slice(0, -3));
  t.throws(() => open(folder), { code: 'STATE_CORRUPT' });
});
