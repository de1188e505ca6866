import { setTimeout as sleep } from 'node:timers/promises';
import t, { type Test } from 'tap';
import { openServiceManager } from '../src/kernel/service-manager.ts';
import { type Service, serve } from '../src/service.ts';
import { start } from './api/run.ts';
import { folder } from './api/site.ts';
import { managerSocket } from './kernel/manager-socket.ts';
import { took } from './took.ts';

/** A program under a manager with a watchdog of 400 ms; what it says of itself may be changed. */
function served(t: Test, now: { ready: boolean; rounds: number; status: string }) {
  const socket = managerSocket(t);
  const env = { NOTIFY_SOCKET: socket.path, WATCHDOG_USEC: '400000' };
  const service: Service = { isReady: () => now.ready, rounds: () => now.rounds, status: () => now.status };
  return { socket, stopping: serve(openServiceManager(env), service) };
}

t.test('a program is ready once, when it is, and tells its status when it changes', async (t) => {
  const now = { ready: false, rounds: 0, status: 'waits' };
  const { socket } = served(t, now);
  t.strictSame(await socket.hear(() => true), { STATUS: 'waits' });
  await sleep(200);
  now.ready = true;
  t.strictSame(await socket.hear(() => true), { READY: '1' }, 'nothing was said in between');
  await sleep(200);
  now.status = 'works';
  t.strictSame(await socket.hear(() => true), { STATUS: 'works' });
});

t.test('the watchdog is fed while the loop turns, and no longer', async (t) => {
  const now = { ready: true, rounds: 0, status: '' };
  const { socket } = served(t, now);
  const turning = setInterval(() => now.rounds++, 20);
  const second = took(async () => {
    for (let beats = 0; beats < 5; beats++) await socket.hear((message) => message.WATCHDOG === '1');
  });
  t.ok((await second) < 1000, 'five beats within a second, of which three suffice');
  clearInterval(turning);
  await sleep(200);
  socket.heard();
  await sleep(300);
  t.strictSame(socket.heard(), [], 'a loop that hangs is not alive');
});

t.test('a stop is told with the time that it may take, and its status stays', async (t) => {
  const now = { ready: true, rounds: 0, status: 'works' };
  const { socket, stopping } = served(t, now);
  socket.heard();
  stopping('drains', 39_999.9996);
  stopping('stops');
  now.status = 'changed meanwhile';
  await sleep(200);
  t.strictSame(socket.heard(), [
    { STOPPING: '1', STATUS: 'drains', EXTEND_TIMEOUT_USEC: '40000000' },
    { STOPPING: '1', STATUS: 'stops' },
  ]);
});

t.test('without a service manager nothing is told', async () => {
  const fail = () => {
    throw new Error('nobody asked');
  };
  serve(undefined, { isReady: fail, rounds: fail, status: fail })('stops');
});

const skip = process.getuid?.() !== 0 && 'needs root';

t.test('an agent under a watchdog is ready, beats, and hangs when it is stopped', { skip }, async (t) => {
  const socket = managerSocket(t);
  const args = ['--controller', 'https://192.0.2.1:7100', '--state-dir', folder(t), '--interface', 'lo'];
  const agent = start('agents/agent.ts', args, { NOTIFY_SOCKET: socket.path, WATCHDOG_USEC: '4000000' });
  t.teardown(() => agent.kill('SIGKILL'));
  t.match((await socket.hear((message) => message.READY === '1')).READY, '1');
  await socket.hear((message) => message.WATCHDOG === '1');
  await socket.hear((message) => message.WATCHDOG === '1');
  agent.kill('SIGSTOP');
  await sleep(200);
  socket.heard();
  await sleep(2000);
  t.strictSame(socket.heard(), []);
  agent.kill('SIGCONT');
  await socket.hear((message) => message.WATCHDOG === '1');
  agent.kill('SIGTERM');
  t.match(await socket.hear((message) => message.STOPPING === '1'), { STATUS: 'stops; this host stays as it is' });
});
