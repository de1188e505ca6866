import t, { type Test } from 'tap';
import { type Controller, type ControllerOptions, isProblem, startController, vip, webPool, whole } from './site.ts';

const url = '/v1/pools/web/real-servers';
const key = `${vip}:80/tcp`;

/** A controller whose pool "web" is in the kernel, with both real servers in service. */
async function serving(t: Test, options?: ControllerOptions): Promise<Controller> {
  const c = await startController(t, options);
  c.attest('rs1', '192.0.2.11', [vip]);
  c.attest('rs2', '192.0.2.12', [vip]);
  const put = await c.call('PUT', '/v1/pools/web?waitMs=5000', webPool());
  t.match(put, { status: 201, body: { reconciled: true } });
  return c;
}

const weights = (c: Controller) =>
  Object.fromEntries(c.kernel.world.services.get(key)?.destinations.map((d) => [d.address, d.weight]) ?? []);
/** Connections that go on. */
const busy = (c: Controller, address: string, active: number) =>
  c.kernel.disturb(({ services }) => {
    for (const d of services.get(key)?.destinations ?? []) if (d.address === address) d.connections.active = active;
  });

t.test('the real servers of a pool and each of them are read with the ETag of the pool', async (t) => {
  const c = await serving(t);
  t.match(await c.call('GET', url), { status: 200, headers: { etag: '"1"' } });
  t.strictSame((await c.call('GET', url)).body, webPool().realServers);
  t.match(await c.call('GET', `${url}/rs2`), { status: 200, headers: { etag: '"1"' } });
  t.strictSame((await c.call('GET', `${url}/rs2`)).body, webPool().realServers.rs2);
});

t.test('PUT of a real server makes it with 201 and replaces it with 200', async (t) => {
  const c = await serving(t);
  const made = await c.call('PUT', `${url}/rs3?waitMs=5000`, { address: '192.0.2.13' });
  t.match(made, { status: 201, body: { revision: 2, reconciled: true, draining: [] }, headers: { etag: '"2"' } });
  t.strictSame(weights(c), { '192.0.2.11': 100, '192.0.2.12': 100, '192.0.2.13': 0 }, 'no agent, no weight');
  const same = await c.call('PUT', `${url}/rs3`, { address: '192.0.2.13', weight: 100, state: 'active' });
  t.match(same, { status: 200, body: { revision: 2 } });
  const changed = await c.call('PUT', `${url}/rs1?waitMs=5000`, { address: '192.0.2.11', weight: 7 });
  t.match(changed, { status: 200, body: { revision: 3, reconciled: true } });
  t.equal(weights(c)['192.0.2.11'], 7);
});

t.test('a real server that moves to another address drains the old one', async (t) => {
  const c = await serving(t);
  const moved = await c.call('PUT', `${url}/rs1?waitMs=5000`, { address: '192.0.2.21' });
  t.match(moved, { status: 202, body: { draining: ['rs1'] } });
  t.strictSame(weights(c), { '192.0.2.11': 0, '192.0.2.12': 100, '192.0.2.21': 0 });
});

t.test('a write about one real server does not speak of the drain of another', async (t) => {
  const c = await serving(t);
  await c.call('DELETE', `${url}/rs1`);
  t.match(await c.call('PUT', `${url}/rs3`, { address: '192.0.2.13' }), { status: 201, body: { draining: [] } });
  t.match(await c.call('PATCH', `${url}/rs2`, { weight: 5 }), { status: 200, body: { draining: [] } });
});

t.test('PUT of all real servers replaces them: who is not named drains', async (t) => {
  const c = await serving(t);
  const put = await c.call('PUT', `${url}?waitMs=5000`, {
    rs2: { address: '192.0.2.12', weight: 50 },
    rs3: { address: '192.0.2.13' },
  });
  t.match(put, { status: 202, body: { draining: ['rs1'], revision: 2 } });
  t.strictSame(weights(c), { '192.0.2.11': 0, '192.0.2.12': 50, '192.0.2.13': 0 });
  t.strictSame(Object.keys((await c.call('GET', url)).body), ['rs2', 'rs3']);
});

t.test('PATCH of all real servers changes, adds, and removes with null', async (t) => {
  const c = await serving(t);
  const put = await c.call('PATCH', url, { rs1: null, rs2: { weight: 3 }, rs3: { address: '192.0.2.13' } });
  t.match(put, { status: 202, body: { draining: ['rs1'] } });
  t.strictSame((await c.call('GET', url)).body, {
    rs2: { address: '192.0.2.12', weight: 3, state: 'active' },
    rs3: { address: '192.0.2.13', weight: 100, state: 'active' },
  });
});

t.test(
  'PATCH of a real server sets its state: drain and maintenance take its weight, active gives it back',
  async (t) => {
    const c = await serving(t);
    for (const state of ['drain', 'maintenance']) {
      const out = await c.call('PATCH', `${url}/rs1?waitMs=5000`, { state });
      t.match(out, { status: 202, body: { draining: ['rs1'] } });
      t.equal(weights(c)['192.0.2.11'], 0);
      const back = await c.call('PATCH', `${url}/rs1?waitMs=5000`, { state: 'active' });
      t.match(back, { status: 200, body: { draining: [] } });
      await c.when(() => weights(c)['192.0.2.11'] === 100);
    }
  },
);

t.test('PATCH with null takes a field back to its default', async (t) => {
  const c = await serving(t);
  await c.call('PATCH', `${url}/rs1`, { weight: 5, upperThreshold: 10 });
  await c.call('PATCH', `${url}/rs1`, { weight: null, upperThreshold: null });
  t.strictSame((await c.call('GET', `${url}/rs1`)).body, webPool().realServers.rs1);
});

t.test('DELETE of a real server drains it: 202, weight 0, and it goes when its connections have ended', async (t) => {
  const c = await serving(t);
  busy(c, '192.0.2.11', 2);
  const gone = await c.call('DELETE', `${url}/rs1?waitMs=5000`);
  t.match(gone, {
    status: 202,
    body: { draining: ['rs1'], reconciled: true, watch: '/v1/status?pool=web' },
    headers: { etag: '"2"' },
  });
  t.strictSame(weights(c), { '192.0.2.11': 0, '192.0.2.12': 100 });
  t.notOk((await c.call('GET', url)).body.rs1, 'it is no member any more');
  const watch = (await c.call('GET', gone.body.watch)).body.pools.web.leaving;
  t.match(watch, [{ realServer: 'rs1', address: '192.0.2.11', done: false, remainingConnections: 2 }]);
  t.match((await c.call('GET', '/v1/agents/rs1/desired')).body.vips, [{ vip }], 'its host keeps the VIP so long');
  busy(c, '192.0.2.11', 0);
  await c.when(() => weights(c)['192.0.2.11'] === undefined);
  await c.when(() => c.state.get().drains.length === 0);
  t.strictSame((await c.call('GET', '/v1/agents/rs1/desired')).body.vips, []);
});

t.test('a drain ends at its deadline, whatever connections are left', async (t) => {
  const c = await serving(t);
  busy(c, '192.0.2.11', 1000);
  const { body } = await c.call('DELETE', `${url}/rs1?drainMs=400`);
  t.strictSame(body.draining, ['rs1']);
  await c.when(() => weights(c)['192.0.2.11'] === undefined);
});

t.test('DELETE with drainMs=0 removes at once', async (t) => {
  const c = await serving(t);
  busy(c, '192.0.2.11', 1000);
  t.equal((await c.call('DELETE', `${url}/rs1?drainMs=0`)).status, 202);
  await c.when(() => weights(c)['192.0.2.11'] === undefined);
  const steps = c.kernel.applied.slice(-2).map((step) => step.op);
  t.strictSame(steps, ['set-destination', 'delete-destination'], 'weight 0 before it goes');
});

t.test('a second DELETE of a real server that is leaving may shorten its time but not lengthen it', async (t) => {
  const c = await serving(t);
  busy(c, '192.0.2.11', 1);
  await c.call('DELETE', `${url}/rs1?drainMs=60000`);
  const deadline = () => c.state.get().drains[0]?.deadline ?? 0;
  const first = deadline();
  const longer = await c.call('DELETE', `${url}/rs1?drainMs=600000`);
  t.match(longer, { status: 202, body: { draining: ['rs1'], revision: 2 } });
  t.equal(deadline(), first);
  t.match(await c.call('DELETE', `${url}/rs1?drainMs=20000`), { status: 202, body: { revision: 3 } });
  t.ok(deadline() < first - 39_000);
  t.equal((await c.call('DELETE', `${url}/rs1?drainMs=0`)).status, 202);
  await c.when(() => c.state.get().drains.length === 0);
  isProblem(t, await c.call('DELETE', `${url}/rs1`), 404, 'NOT_FOUND');
});

t.test('a real server that was already drained goes at once', async (t) => {
  const c = await serving(t);
  await c.call('PATCH', `${url}/rs1?drainMs=0`, { state: 'drain' });
  await c.when(() => weights(c)['192.0.2.11'] === undefined);
  t.match((await c.call('GET', url)).body.rs1, { state: 'drain' }, 'drained, and still a member');
  const gone = await c.call('DELETE', `${url}/rs1?waitMs=5000`);
  t.match(gone, { status: 200, body: { draining: [], reconciled: true } });
});

t.test('a real server that comes back while it drains keeps its place', async (t) => {
  const c = await serving(t);
  busy(c, '192.0.2.11', 5);
  await c.call('DELETE', `${url}/rs1?waitMs=5000`);
  t.match(await c.call('PUT', `${url}/rs1?waitMs=5000`, { address: '192.0.2.11' }), { status: 201 });
  await c.when(() => weights(c)['192.0.2.11'] === 100);
  t.equal(c.kernel.world.services.get(key)?.destinations[0]?.connections.active, 5, 'it was never deleted');
  t.strictSame(c.state.get().drains, []);
});

t.test('DELETE of all real servers drains all', async (t) => {
  const c = await serving(t);
  t.match(await c.call('DELETE', `${url}?waitMs=5000`), { status: 202, body: { draining: ['rs1', 'rs2'] } });
  t.strictSame(weights(c), { '192.0.2.11': 0, '192.0.2.12': 0 });
  t.strictSame((await c.call('GET', url)).body, {});
});

t.test('an unknown real server is 404 with what makes it', async (t) => {
  const c = await serving(t);
  const before = whole(c);
  for (const name of ['rs9', 'constructor'])
    for (const method of ['GET', 'PATCH', 'DELETE']) {
      const answer = await c.call(method, `${url}/${name}`, method === 'PATCH' ? {} : undefined);
      isProblem(t, answer, 404, 'NOT_FOUND');
      t.match(answer.body.detail, new RegExp(`"web" has no real server "${name}"; PUT makes it`));
    }
  t.equal(whole(c), before);
});

t.test('wrong fields are named as the client wrote them', async (t) => {
  const c = await serving(t);
  const before = whole(c);
  const one: [unknown, string][] = [
    [{}, 'address'],
    [{ address: '192.0.2.13', port: 8080 }, 'port'],
    [{ address: '192.0.2.13', weight: 65536 }, 'weight'],
    [{ address: '192.0.2.13', weight: -1 }, 'weight'],
    ['{ "address": "192.0.2.13", "weight": 1e400 }', 'weight'],
    [{ address: '192.0.2.13', state: 'off' }, 'state'],
    [{ address: vip }, 'address'],
    [{ address: '2001:db8::13' }, 'address'],
    [{ address: '192.0.2.13', lowerThreshold: 2, upperThreshold: 1 }, 'lowerThreshold'],
    [[], ''],
  ];
  for (const [body, path] of one) isProblem(t, await c.call('PUT', `${url}/rs3`, body), 400, 'INVALID_REQUEST', path);
  isProblem(t, await c.call('PATCH', `${url}/rs1`, { address: 'x' }), 400, 'INVALID_REQUEST', 'address');
  isProblem(t, await c.call('PUT', url, { rs1: { address: 5 } }), 400, 'INVALID_REQUEST', 'rs1.address');
  isProblem(t, await c.call('PUT', url, { RS1: { address: '192.0.2.13' } }), 400, 'INVALID_REQUEST', 'RS1');
  isProblem(t, await c.call('PATCH', url, { rs1: { size: 1 } }), 400, 'INVALID_REQUEST', 'rs1.size');
  isProblem(t, await c.call('PUT', `${url}/rs3`, { address: '192.0.2.11' }), 400, 'INVALID_REQUEST', 'address');
  t.equal(whole(c), before);
});

t.test('the same name with two addresses is 409, and names the address that is known', async (t) => {
  const c = await serving(t);
  await c.call('PUT', '/v1/pools/img', { ...webPool(), vip: '192.0.2.101', realServers: {} });
  const before = whole(c);
  const answer = await c.call('PUT', '/v1/pools/img/real-servers/rs1', { address: '192.0.2.99' });
  isProblem(t, answer, 409, 'CONFLICT', 'address');
  t.match(answer.body.detail, /"rs1" is one host, and pool "web" says that its address is 192\.0\.2\.11/);
  const all = await c.call('PATCH', '/v1/pools/img/real-servers', { rs1: { address: '192.0.2.99' } });
  isProblem(t, all, 409, 'CONFLICT', 'rs1.address');
  const pool = await c.call('PATCH', '/v1/pools/img', { realServers: { rs1: { address: '192.0.2.99' } } });
  isProblem(t, pool, 409, 'CONFLICT', 'realServers.rs1.address');
  t.equal(whole(c), before);
  t.equal((await c.call('PUT', '/v1/pools/img/real-servers/rs1', { address: '192.0.2.11' })).status, 201);
});
