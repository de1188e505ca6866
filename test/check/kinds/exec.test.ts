import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import t, { type Test } from 'tap';
import { freePort } from '../../../infra/lab/free-port.ts';
import { probe, serve } from './probing.ts';

const run = (t: Test, port: number, script: string, timeoutMs = 5000) =>
  probe(
    t,
    port,
    { type: 'exec', program: 'mine', timeoutMs },
    { programs: { mine: ['/bin/sh', '-c', script, 'mine', 'one'] } },
  );

const echoing = (t: Test) => serve(t, (socket) => socket.pipe(socket));

/** How many descriptors this process has. */
const descriptors = () => readdirSync('/proc/self/fd').length;

t.test('a program talks to the server over its standard input and output', async (t) => {
  const port = await echoing(t);
  const script = 'echo hello; read answer; test "$answer" = hello';
  t.strictSame(await run(t, port, script), { kind: 'ok', words: 'exit code 0' });
});

t.test('any other exit code is wrong, with what it wrote to standard error', async (t) => {
  const port = await echoing(t);
  t.strictSame(await run(t, port, 'printf "no such table\\n" >&2; exit 3'), {
    kind: 'wrong',
    words: 'program "mine": exit code 3, "no such table"',
  });
  t.match(await run(t, port, 'exit 1'), { kind: 'wrong', words: 'program "mine": exit code 1' });
  t.match(await run(t, port, 'kill -9 $$'), { kind: 'wrong', words: 'program "mine": was ended by SIGKILL' });
  t.match(await run(t, port, 'head -c 1000000 /dev/zero >&2; exit 1'), {
    kind: 'wrong',
    words: /exit code 1, "(\\x00)+/,
  });
});

t.test('its surroundings are the same everywhere', async (t) => {
  const port = await echoing(t);
  const folder = mkdtempSync(join(tmpdir(), 'dsr-exec-'));
  t.teardown(() => rmSync(folder, { recursive: true }));
  process.env.DSR_OTHER = 'not for programs';
  t.teardown(() => delete process.env.DSR_OTHER);
  await run(t, port, `{ pwd; echo "$1"; env; } > ${folder}/seen`);
  const seen = readFileSync(`${folder}/seen`, 'utf8').trim().split('\n');
  t.strictSame(seen.slice(0, 2), ['/', 'one']);
  // Shells add some of their own, and so does tap to every program that a test starts.
  const given = seen.slice(2).filter((entry) => /^(DSR_\w*|PATH|HOME|USER)=/.test(entry));
  t.strictSame(given.sort(), [`DSR_PORT=${port}`, 'DSR_VIP=192.0.2.100', 'PATH=/usr/sbin:/usr/bin:/sbin:/bin']);
});

t.test('a program that does not end in time is killed with all that it started', async (t) => {
  const port = await echoing(t);
  const folder = mkdtempSync(join(tmpdir(), 'dsr-exec-'));
  t.teardown(() => rmSync(folder, { recursive: true }));
  t.strictSame(await run(t, port, `(sleep 0.4; echo > ${folder}/alive) & sleep 30`, 150), {
    kind: 'timeout',
    words: 'program "mine" does not end within 150 ms',
  });
  await sleep(600);
  t.notOk(existsSync(`${folder}/alive`));
});

t.test('what a program leaves running is killed when it ends, and does not hold the check up', async (t) => {
  const port = await echoing(t);
  const begin = performance.now();
  t.match(await run(t, port, 'sleep 30 & exit 0'), { kind: 'ok' });
  t.ok(performance.now() - begin < 20_000);
});

t.test('a program that is not in the settings, or cannot be run, says nothing of the server', async (t) => {
  const port = await echoing(t);
  const named = (program: string, programs = {}) => probe(t, port, { type: 'exec', program }, { programs });
  t.strictSame(await named('ldap'), {
    kind: 'broken',
    words: 'no program "ldap": add it to "programs" in the controller\'s config file',
  });
  t.match(await named('constructor'), { kind: 'broken', words: /^no program/ });
  t.match(await named('ldap', { ldap: ['/nonexistent/ldap'] }), {
    kind: 'broken',
    words: /^program "ldap" cannot be run: .*ENOENT/,
  });
  const folder = mkdtempSync(join(tmpdir(), 'dsr-exec-'));
  t.teardown(() => rmSync(folder, { recursive: true }));
  writeFileSync(join(folder, 'text'), 'not a program', { mode: 0o644 });
  t.match(await named('ldap', { ldap: [join(folder, 'text')] }), { kind: 'broken', words: /cannot be run: .*EACCES/ });
});

t.test('no descriptor stays open, however it ends', async (t) => {
  const port = await serve(t, (socket) => socket.resume());
  await run(t, port, 'exit 0');
  await sleep(50);
  const before = descriptors();
  for (const script of ['exit 0', 'exit 1', 'sleep 30']) await run(t, port, script, 200);
  await probe(t, port, { type: 'exec', program: 'x' }, { programs: { x: ['/nonexistent/x'] } });
  await sleep(50);
  t.ok(descriptors() <= before, `${descriptors()} after, ${before} before`);
});

t.test('a port where nothing listens is refused before anything runs', async (t) => {
  t.match(await run(t, await freePort(), 'exit 0'), { kind: 'refused' });
});
