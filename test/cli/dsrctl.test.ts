import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { text } from 'node:stream/consumers';
import t from 'tap';
import { root, run as runProgram, start as startProgram } from '../api/run.ts';
import { webPool } from '../api/site.ts';
import { typescript } from '../typescript.ts';
import { startSite } from './site.ts';

const program = 'src/cli/dsrctl.ts';

t.test('the program itself: output, exit code, standard input', async (t) => {
  const c = await startSite(t);
  await c.call('PUT', '/v1/pools/web', webPool());
  const env = { DSR_CONTROLLER: c.base, HOME: '/nonexistent' };
  const argv = [...typescript, program, 'apply', '-f', '-', '--json'];
  const piped = spawn(process.execPath, argv, {
    cwd: root,
    env: { ...process.env, ...env },
    stdio: ['pipe', 'pipe', 'inherit'],
  });
  piped.stdin.end(JSON.stringify({ pools: { web: webPool() } }));
  const [applied, wrong] = await Promise.all([text(piped.stdout), runProgram(program, ['get', 'pool', 'none'], env)]);
  t.strictSame(JSON.parse(applied), { changed: false, diff: [], answer: null });
  t.match(wrong, { code: 1, stdout: '', stderr: /^dsrctl: .*there is no pool "none"/ });
});

t.test('whoever has read enough of the output ends it quietly', async (t) => {
  const c = await startSite(t);
  c.events.add('x', 'y'.repeat(200_000));
  const child = startProgram(program, ['events', '--follow', '--controller', c.base]);
  const errors = text(child.stderr);
  const exit = once(child, 'exit');
  await once(child.stdout, 'data');
  child.stdout.destroy();
  // It may only notice when it writes again.
  const more = setInterval(() => c.events.add('x', 'more'), 20);
  const [code] = await exit;
  clearInterval(more);
  t.equal(code, 0);
  t.equal(await errors, '');
});

t.test('Ctrl-C ends a watch with 0', async (t) => {
  const c = await startSite(t);
  const child = startProgram(program, ['status', '--watch', '--controller', c.base]);
  const exit = once(child, 'exit');
  await once(child.stdout, 'data');
  child.kill('SIGINT');
  t.strictSame(await exit, [0, null]);
});
