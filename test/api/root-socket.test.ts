import { once } from 'node:events';
import { existsSync, renameSync, statSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { join } from 'node:path';
import t, { type Test } from 'tap';
import { Agent, request } from 'undici';
import { openRootSocket } from '../../src/api/root-socket.ts';
import { folder, webPool } from './site.ts';
import { startTrusted } from './trusted.ts';

async function ask(t: Test, socketPath: string, method: 'GET' | 'PUT', path: string, body?: unknown) {
  const dispatcher = new Agent({ connect: { socketPath } });
  t.teardown(() => dispatcher.destroy());
  const answer = await request(`http://director${path}`, {
    dispatcher,
    method,
    ...(body !== undefined && { body: JSON.stringify(body), headers: { 'content-type': 'application/json' } }),
  });
  return { status: answer.statusCode, body: (await answer.body.json()) as Record<string, unknown> };
}

t.test('who comes by the socket needs no token, and only its owner can come', async (t) => {
  const c = await startTrusted(t);
  await c.api.ready();
  const path = join(folder(t), 'run/dsr/controller.sock');
  const before = process.umask();
  const socket = await openRootSocket(c.api, path, (one) => c.roots.add(one));
  t.teardown(() => socket.close());
  t.equal(process.umask(), before);
  t.equal(statSync(path).mode & 0o777, 0o600);
  t.match(await ask(t, path, 'GET', '/v1/whoami'), { status: 200, body: { kind: 'root' } });
  t.match(await ask(t, path, 'PUT', '/v1/pools/web', webPool()), { status: 201 });
  t.match(c.trust.audit.last(1), [{ who: 'root', from: null, what: 'PUT /v1/pools/web' }]);
  await t.rejects(
    openRootSocket(c.api, path, () => {}),
    /in use by another controller/,
  );
  t.ok(existsSync(path), 'and the other one keeps it');
});

t.test('what a crash left is taken away; what is no socket of ours is not', async (t) => {
  const c = await startTrusted(t);
  await c.api.ready();
  const path = join(folder(t), 'left.sock');
  const dead = createServer().listen(path);
  await once(dead, 'listening');
  // As a killed process leaves it: nobody listens, the file is there.
  const holder = join(folder(t), 'moved.sock');
  renameSync(path, holder);
  dead.close();
  await once(dead, 'close');
  renameSync(holder, path);
  const socket = await openRootSocket(c.api, path, () => {});
  t.teardown(() => socket.close());
  t.match(await ask(t, path, 'GET', '/healthz'), { status: 200 });
  const file = join(folder(t), 'precious');
  writeFileSync(file, 'text');
  await t.rejects(
    openRootSocket(c.api, file, () => {}),
    /is no socket/,
  );
  t.ok(existsSync(file));
});
