import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import fc from 'fast-check';
import t from 'tap';
import { openServiceManager } from '../../src/kernel/service-manager.ts';
import { folder } from '../api/site.ts';
import { holds } from '../property.ts';
import { managerSocket } from './manager-socket.ts';

const line = fc.string({ maxLength: 200, unit: 'grapheme' }).map((text) => text.replaceAll('\0', ''));

t.test('whatever is told is heard, one assignment a line, at a path and at an abstract name', async (t) => {
  for (const socket of [managerSocket(t), managerSocket(t, `@dsr-test-${process.pid}`)]) {
    const manager = openServiceManager({ NOTIFY_SOCKET: socket.path });
    holds(
      t,
      socket.path[0] === '@' ? 'abstract' : 'path',
      fc.property(line, line, (status, other) => {
        manager?.tell({ STATUS: status, X_OTHER: other });
        const [heard, ...more] = socket.heard();
        const flat = (text: string) => text.replaceAll('\n', ' ');
        if (more.length > 0 || heard?.STATUS !== flat(status) || heard?.X_OTHER !== flat(other))
          throw new Error(JSON.stringify(heard));
      }),
    );
  }
});

t.test('the variables are gone afterwards, so that no child speaks for this process', async (t) => {
  const { path } = managerSocket(t);
  const env = { NOTIFY_SOCKET: path, WATCHDOG_USEC: '3000000', WATCHDOG_PID: String(process.pid), HOME: '/' };
  t.equal(openServiceManager(env)?.watchdogMs, 3000);
  t.strictSame(env, { HOME: '/' });
});

t.test('a watchdog of another process is none of ours', async (t) => {
  const { path: NOTIFY_SOCKET } = managerSocket(t);
  const watchdog = (env: NodeJS.ProcessEnv) => openServiceManager({ NOTIFY_SOCKET, ...env })?.watchdogMs;
  t.equal(watchdog({ WATCHDOG_USEC: '3000000', WATCHDOG_PID: '1' }), undefined);
  t.equal(watchdog({ WATCHDOG_USEC: '3000000' }), 3000);
  t.equal(watchdog({ WATCHDOG_USEC: 'often' }), undefined);
  t.equal(watchdog({}), undefined);
});

t.test('without a service manager, or with one that is spoken to in another way, there is none', async (t) => {
  for (const path of [undefined, '', '/', 'vsock:2:1234', 'relative', `/${'x'.repeat(200)}`])
    t.equal(openServiceManager({ NOTIFY_SOCKET: path }), undefined, path ?? 'unset');
});

t.test('a manager that is not there is no trouble', async (t) => {
  const manager = openServiceManager({ NOTIFY_SOCKET: join(folder(t), 'nobody') });
  t.doesNotThrow(() => manager?.tell({ READY: '1' }));
});

t.test('a full queue holds nobody up, and nothing that was said last is lost', async (t) => {
  const socket = managerSocket(t);
  const manager = openServiceManager({ NOTIFY_SOCKET: socket.path });
  const began = performance.now();
  // More than any queue takes (net.unix.max_dgram_qlen).
  for (let i = 0; i < 5000; i++) manager?.tell({ STATUS: String(i), ...(i === 4000 && { READY: '1' }) });
  t.ok(performance.now() - began < 5000);
  const heard = new Map<string, string>();
  const timer = setInterval(() => {}, 10);
  t.teardown(() => clearInterval(timer));
  for (let tries = 0; tries < 100 && heard.get('STATUS') !== '4999'; tries++) {
    for (const message of socket.heard()) for (const [key, value] of Object.entries(message)) heard.set(key, value);
    await sleep(20);
  }
  t.strictSame(Object.fromEntries(heard), { STATUS: '4999', READY: '1' });
  t.strictSame(socket.heard(), []);
});
