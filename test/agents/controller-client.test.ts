import { getEventListeners, once } from 'node:events';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import t, { type Test } from 'tap';
import { connectController } from '../../agents/controller-client.ts';
import { fitReport, startController, vip, webPool } from '../api/site.ts';
import { noCredentials } from './credentials.ts';

/** A server that answers as it is told; gives its base URL and what it was asked. */
async function serve(t: Test, answer: (request: IncomingMessage, response: ServerResponse) => void) {
  const asked: IncomingMessage[] = [];
  const server = createServer((request, response) => {
    asked.push(request);
    answer(request, response);
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  t.teardown(() => {
    server.closeAllConnections();
    server.close();
  });
  return { base: `http://127.0.0.1:${(server.address() as AddressInfo).port}`, asked, server };
}

function client(t: Test, base: string, token?: string) {
  const controller = connectController(base, 'rs1', { ...noCredentials, current: () => ({ token }) }, 'machine');
  t.teardown(() => controller.close());
  return controller;
}

const never = () => new AbortController().signal;
const desired = { revision: 4, vips: [{ vip, address: '192.0.2.11', ports: ['80/tcp'] }], probers: [] };

t.test('it speaks with the real API: desired by revision, and reports', async (t) => {
  const c = await startController(t);
  const controller = client(t, await c.listen());
  await c.call('PUT', '/v1/pools/web?waitMs=5000', webPool());
  t.strictSame(await controller.desired(undefined, never()), { ...desired, revision: 1 });
  const next = controller.desired(1, never());
  await c.whenWaiting(1);
  await c.call('PATCH', '/v1/pools/web', { ports: { '443/tcp': { policy: 'real-servers' } } });
  t.match(await next, { revision: 2, vips: [{ ports: ['443/tcp', '80/tcp'] }] });
  await controller.report(fitReport('rs1', '192.0.2.11', [vip]));
  t.ok(c.agents.all().has('rs1'));
});

t.test('it asks below any base, with the revision that it has and its token', async (t) => {
  const { base, asked } = await serve(t, (_, response) => response.end(JSON.stringify(desired)));
  await client(t, base).desired(undefined, never());
  await client(t, `${base}/dsr/`, 'secret').desired(3, never());
  await client(t, `${base}/dsr`, 'secret').report(fitReport('rs1', '192.0.2.11', []));
  t.match(asked, [
    { url: /^\/v1\/agents\/rs1\/desired\?waitMs=\d+&machineId=machine$/, headers: { authorization: undefined } },
    {
      url: /^\/dsr\/v1\/agents\/rs1\/desired\?waitMs=\d+&machineId=machine&revision=3$/,
      headers: { authorization: 'Bearer secret' },
    },
    { url: '/dsr/v1/agents/rs1/report', method: 'POST', headers: { authorization: 'Bearer secret' } },
  ]);
  t.notOk('authorization' in (asked[0]?.headers ?? {}));
});

t.test("a refusal is told in the controller's own words", async (t) => {
  const c = await startController(t);
  const base = await c.listen();
  c.attest('rs1', '192.0.2.66', [], { machineId: 'another' });
  await t.rejects(client(t, base).report(fitReport('rs1', '192.0.2.11', [])), {
    code: 'CONTROLLER',
    message: new RegExp(
      `^reporting to the controller ${base}: it answered 409: another machine reports under the name "rs1"`,
    ),
  });
});

t.test('an answer that is none is told with what it was', async (t) => {
  const answers: [number, string, RegExp][] = [
    [200, 'hello', /asking the controller http.*JSON/],
    [200, '{"revision":"x"}', /speaks another protocol; install the same version on both/],
    [502, '<html>bad gateway</html>', /it answered 502: <html>bad gateway/],
    [503, '{"detail":"not yet"}', /it answered 503: not yet/],
    [404, '', /it answered 404: /],
    [204, '', /it answered 204: /],
  ];
  for (const [status, body, words] of answers) {
    const { base } = await serve(t, (_, response) => response.writeHead(status).end(body));
    await t.rejects(client(t, base).desired(1, never()), { code: 'CONTROLLER', message: words }, `${status} ${body}`);
  }
  const { base } = await serve(t, (request) => request.socket.destroy());
  await t.rejects(client(t, base).desired(1, never()), { code: 'CONTROLLER', message: /: \w/ });
});

t.test(
  'a controller that is not there is told with the reason, also when its name has several addresses',
  async (t) => {
    const { base, server } = await serve(t, () => {});
    server.close();
    for (const url of [base, base.replace('127.0.0.1', 'localhost')])
      await t.rejects(client(t, url).desired(1, never()), { code: 'CONTROLLER', message: /: .*ECONNREFUSED/ }, url);
  },
);

t.test('waiting ends at once when it is given up, and when the client is closed', async (t) => {
  const { base, asked } = await serve(t, () => {});
  const controller = client(t, base);
  const given = new AbortController();
  const first = t.rejects(controller.desired(1, given.signal), { code: 'CONTROLLER' });
  while (asked.length < 1) await new Promise((resolve) => setImmediate(resolve));
  given.abort();
  await first;
  const second = t.rejects(controller.desired(1, never()), { code: 'CONTROLLER' });
  while (asked.length < 2) await new Promise((resolve) => setImmediate(resolve));
  await controller.close();
  await second;
});

t.test('asking again and again leaves no listeners behind', async (t) => {
  const { base } = await serve(t, (_, response) => response.end(JSON.stringify(desired)));
  const controller = client(t, base);
  const signal = never();
  for (let i = 0; i < 30; i++) await controller.desired(i, signal);
  t.ok(getEventListeners(signal, 'abort').length <= 1, 'at most that of the last');
});
