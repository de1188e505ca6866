import t from 'tap';
import { isProblem, startController, vip, webPool } from './site.ts';

const rules = [{ match: { extensions: ['jpg'] }, to: 'real-servers' }];
const urlPool = () => ({
  ...webPool(),
  ports: {
    '80/tcp': { policy: 'url', rules, edge: { origin: '192.0.2.10:8080' } },
    '8080/tcp': { policy: 'director' },
  },
});

t.test('POST /v1/explain says who would answer, by the weights that there are', async (t) => {
  const c = await startController(t);
  await c.call('PUT', '/v1/pools/web?waitMs=5000', urlPool());
  c.attest('rs1', '192.0.2.11', [vip]);
  await c.when(() => c.director.last()?.standings.get('web')?.realServers.get('rs1')?.serving === true);
  const { status, body } = await c.call('POST', '/v1/explain', { url: 'http://example.com/a.jpg' });
  t.equal(status, 200);
  t.match(body.answers, [{ pool: 'web', port: '80/tcp', engine: 'edge', to: 'real-servers', rule: 1 }]);
  t.match(body.answers[0].realServers, [
    { realServer: 'rs1', sharePercent: 100 },
    { realServer: 'rs2', weight: 0, sharePercent: 0 },
  ]);
  isProblem(t, await c.call('POST', '/v1/explain', { url: 'x' }), 400, 'INVALID_REQUEST', 'url');
  isProblem(t, await c.call('POST', '/v1/explain', { url: '/a', pool: 'no' }), 404, 'NOT_FOUND');
  isProblem(t, await c.call('POST', '/v1/explain', { url: 'https://a/', pool: 'web' }), 404, 'NOT_FOUND');
  isProblem(t, await c.call('POST', '/v1/explain', { url: 'https://a/' }), 404, 'NOT_FOUND');
});

t.test('DELETE of a cache is a revision, which agents are told, and names who has not done it', async (t) => {
  const c = await startController(t);
  await c.call('PUT', '/v1/pools/web?waitMs=5000', urlPool());
  const before = c.state.get().revision;
  const first = await c.call('DELETE', '/v1/pools/web/cache?path=%2Fimg%2F%C3%A9.jpg');
  t.match(first, { status: 202, body: { revision: before + 1, purged: '/img/é.jpg', waiting: ['rs1', 'rs2'] } });
  const { body } = await c.call('GET', '/v1/agents/rs1/desired?waitMs=0');
  t.match(body.vips[0].edge['80/tcp'], { generation: 0, purged: [{ path: '/img/é.jpg', generation: before + 1 }] });
  const waited = c.call('DELETE', '/v1/pools/web/cache?waitMs=20000');
  await c.when(() => c.state.get().revision === before + 2);
  for (const [name, address] of [
    ['rs1', '192.0.2.11'],
    ['rs2', '192.0.2.12'],
  ] as const)
    c.attest(name, address, [vip], { revision: before + 2 });
  t.match(await waited, { status: 200, body: { purged: '/', waiting: [] } });
  t.match(c.state.get().purges, { web: { generation: before + 2, paths: [] } });
  t.ok(c.events.since().some(({ type, pool }) => type === 'cache-purged' && pool === 'web'));
});

t.test('a cache that is not there, or a path that is none, is refused', async (t) => {
  const c = await startController(t);
  await c.call('PUT', '/v1/pools/web?waitMs=5000', webPool());
  isProblem(t, await c.call('DELETE', '/v1/pools/no/cache'), 404, 'NOT_FOUND');
  isProblem(t, await c.call('DELETE', '/v1/pools/web/cache'), 404, 'NOT_FOUND');
  for (const path of ['img', '/a//b', '/../a', '/a?b', '/a%0a'])
    isProblem(
      t,
      await c.call('DELETE', `/v1/pools/web/cache?path=${encodeURIComponent(decodeURIComponent(path))}`),
      400,
      'INVALID_REQUEST',
      'path',
    );
});
