import fc from 'fast-check';
import t from 'tap';
import { type Pools, poolSchema } from '../../src/schema.ts';
import { poolsArb } from '../arbitraries.ts';
import { holds } from '../property.ts';
import { isProblem, poolDefaults, startController, vip, webPool, whole } from './site.ts';

const onEth0 = (address: string) => ({ address, interface: 'eth0' });

t.test('a new pool is answered with 201, its revision and ETag, and read back with its defaults', async (t) => {
  const c = await startController(t);
  const { ports } = webPool();
  const made = await c.call('PUT', '/v1/pools/web', { vip, ports, realServers: { rs1: { address: '192.0.2.11' } } });
  t.equal(made.status, 201);
  t.match(made.body, { revision: 1, draining: [], watch: '/v1/status?pool=web' });
  t.equal(made.headers.etag, '"1"');
  const read = await c.call('GET', '/v1/pools/web');
  t.equal(read.status, 200);
  t.equal(read.headers.etag, '"1"');
  t.match(read.headers['content-type'], /^application\/json/);
  const realServers = { rs1: { address: '192.0.2.11', weight: 100, state: 'active' } };
  t.strictSame(read.body, { ...webPool(), realServers, ...poolDefaults });
});

t.test('the same PUT again changes nothing: 200, the same revision and ETag, no event', async (t) => {
  const c = await startController(t);
  await c.call('PUT', '/v1/pools/web', webPool());
  const before = whole(c);
  const told = () => c.events.since().filter(({ type }) => type === 'pools-changed').length;
  t.equal(told(), 1);
  const again = await c.call('PUT', '/v1/pools/web', webPool());
  t.equal(again.status, 200);
  t.equal(again.body.revision, 1);
  t.equal(again.headers.etag, '"1"');
  t.equal(whole(c), before);
  t.equal(told(), 1);
});

t.test('a changed pool is answered with 200; the revision is one number, and other pools keep theirs', async (t) => {
  const c = await startController(t);
  await c.call('PUT', '/v1/pools/web', webPool());
  const img = { ...webPool(), vip: '192.0.2.101' };
  t.match(await c.call('PUT', '/v1/pools/img', img), { status: 201, body: { revision: 2 }, headers: { etag: '"2"' } });
  const heavier = { ...img, realServers: { rs1: { address: '192.0.2.11', weight: 7 } } };
  t.match(await c.call('PUT', '/v1/pools/img', heavier), { body: { revision: 3 }, headers: { etag: '"3"' } });
  t.match(await c.call('GET', '/v1/pools/web'), { headers: { etag: '"1"' } });
  t.match(await c.call('GET', '/v1/pools'), { headers: { etag: '"3"' }, body: { revision: 3 } });
});

t.test('GET /v1/pools is the document that PUT /v1/pools takes back unchanged', async (t) => {
  const c = await startController(t);
  t.strictSame((await c.call('GET', '/v1/pools')).body, { revision: 0, pools: {} });
  await c.call('PUT', '/v1/pools/web', webPool());
  const { body } = await c.call('GET', '/v1/pools');
  t.strictSame(body, { revision: 1, pools: { web: { ...webPool(), ...poolDefaults } } });
  t.match(await c.call('PUT', '/v1/pools', body), { status: 200, body: { revision: 1 } });
});

t.test('PUT /v1/pools replaces all pools in one revision, and what it no longer names leaves the kernel', async (t) => {
  const c = await startController(t);
  await c.call('PUT', '/v1/pools/web?waitMs=5000', webPool());
  const dns = { vip: '192.0.2.53', ports: { '53/udp': { policy: 'real-servers' } } };
  const put = await c.call('PUT', '/v1/pools?waitMs=5000', { pools: { dns } });
  t.match(put, { status: 200, body: { revision: 2, reconciled: true }, headers: { etag: '"2"' } });
  t.strictSame(Object.keys((await c.call('GET', '/v1/pools')).body.pools), ['dns']);
  await c.when(() => !c.kernel.world.services.has(`${vip}:80/tcp`) && c.kernel.world.services.has('192.0.2.53:53/udp'));
  await c.when(() => !c.kernel.world.addresses.some(({ address }) => address === vip));
});

t.test('DELETE /v1/pools leaves no pool, no service and no VIP', async (t) => {
  const c = await startController(t);
  await c.call('PUT', '/v1/pools/web?waitMs=5000', webPool());
  const gone = await c.call('DELETE', '/v1/pools?waitMs=5000');
  t.match(gone, { status: 200, body: { reconciled: true, missing: [] } });
  t.strictSame((await c.call('GET', '/v1/pools')).body.pools, {});
  t.equal(c.kernel.world.services.size, 0);
  t.notOk(c.kernel.world.addresses.some(({ address }) => address === vip));
});

t.test('a deleted pool goes services first, then the VIP, then the agents are told', async (t) => {
  const c = await startController(t);
  await c.call('PUT', '/v1/pools/web?waitMs=5000', webPool());
  t.match(c.kernel.world.addresses, [{}, {}, onEth0(vip)]);
  c.kernel.applied = [];
  c.kernel.refuse = ({ op }) => (op === 'delete-address' ? 'EPERM' : undefined);
  const gone = await c.call('DELETE', '/v1/pools/web');
  t.match(gone, { status: 202, body: { reconciled: false, watch: '/v1/status' } });
  t.notOk(gone.headers.etag, 'what is gone has no ETag');
  await c.when(() => c.kernel.applied.some(({ op }) => op === 'delete-address'));
  t.same(
    c.kernel.applied.slice(0, 2).map(({ op }) => op),
    ['delete-service', 'delete-address'],
  );
  t.match((await c.call('GET', '/v1/agents/rs1/desired')).body.vips, [{ vip }], 'while the director has the VIP');
  c.kernel.refuse = () => undefined;
  await c.when(() => c.state.get().drains.length === 0);
  t.strictSame((await c.call('GET', '/v1/agents/rs1/desired')).body.vips, []);
  isProblem(t, await c.call('GET', '/v1/pools/web'), 404, 'NOT_FOUND');
});

t.test('a DELETE that waits says what the kernel refused, of that pool and not of others', async (t) => {
  const c = await startController(t);
  await c.call('PUT', '/v1/pools/web?waitMs=5000', webPool());
  await c.call('PUT', '/v1/pools/img?waitMs=5000', { ...webPool(), vip: '192.0.2.101' });
  c.kernel.refuse = (step) => ('service' in step && step.service.vip === vip ? 'EBUSY' : undefined);
  c.kernel.disturb(({ services }) => services.delete(`${vip}:80/tcp`));
  await c.when(() => (c.director.last()?.failures.length ?? 0) > 0);
  t.match(await c.call('DELETE', '/v1/pools/img?waitMs=5000'), { status: 200, body: { reconciled: true } });
  c.kernel.refuse = () => undefined;
  await c.when(() => c.kernel.world.services.has(`${vip}:80/tcp`));
  c.kernel.refuse = ({ op }) => (op === 'delete-service' ? 'EBUSY' : undefined);
  const gone = await c.call('DELETE', '/v1/pools/web?waitMs=700');
  t.equal(gone.status, 202);
  t.match(gone.body.missing, [/EBUSY/]);
});

t.test('a real server that a PUT no longer names is drained: 202, weight 0, and the others keep theirs', async (t) => {
  const c = await startController(t);
  for (const [rs, address] of Object.entries({ rs1: '192.0.2.11', rs2: '192.0.2.12' })) c.attest(rs, address, [vip]);
  await c.call('PUT', '/v1/pools/web?waitMs=5000', webPool());
  const { rs1 } = webPool().realServers;
  const put = await c.call('PUT', '/v1/pools/web?waitMs=5000', { ...webPool(), realServers: { rs1 } });
  t.match(put, { status: 202, body: { draining: ['rs2'], reconciled: true, watch: '/v1/status?pool=web' } });
  t.match(c.kernel.world.services.get(`${vip}:80/tcp`)?.destinations, [
    { address: '192.0.2.11', weight: 100 },
    { address: '192.0.2.12', weight: 0 },
  ]);
  const left = c.state.get().drains[0];
  t.match(left, { realServer: 'rs2', drainMs: 30_000, done: false }, 'with the default deadline');
});

t.test('a merge patch changes what it names and keeps the rest; null removes', async (t) => {
  const c = await startController(t);
  await c.call('PUT', '/v1/pools/web', {
    ...webPool(),
    realServers: { rs1: { address: '192.0.2.11', upperThreshold: 9 } },
  });
  const patch = {
    ports: { '8080/tcp': null, '443/tcp': { policy: 'real-servers', scheduler: 'sh' } },
    realServers: { rs1: { weight: 5, upperThreshold: null }, rs3: { address: '192.0.2.13' } },
  };
  t.match(await c.call('PATCH', '/v1/pools/web', patch), { status: 200, body: { revision: 2 } });
  t.strictSame((await c.call('GET', '/v1/pools/web')).body, {
    vip,
    ports: {
      '80/tcp': { policy: 'real-servers', scheduler: 'wlc' },
      '443/tcp': { policy: 'real-servers', scheduler: 'sh' },
    },
    realServers: {
      rs1: { address: '192.0.2.11', weight: 5, state: 'active' },
      rs3: { address: '192.0.2.13', weight: 100, state: 'active' },
    },
    ...poolDefaults,
  });
});

t.test('a merge patch is taken as application/json too, and an empty one changes nothing', async (t) => {
  const c = await startController(t);
  await c.call('PUT', '/v1/pools/web', webPool());
  const before = whole(c);
  for (const type of ['application/json', 'application/merge-patch+json', 'application/json; charset=utf-8'])
    t.match(await c.call('PATCH', '/v1/pools/web', {}, { 'content-type': type }), {
      status: 200,
      body: { revision: 1 },
    });
  t.equal(whole(c), before);
});

t.test('a merge patch whose result is no pool is refused with the field, and changes nothing', async (t) => {
  const c = await startController(t);
  await c.call('PUT', '/v1/pools/web', webPool());
  const before = whole(c);
  const refused: [unknown, string][] = [
    [{ vip: null }, 'vip'],
    [{ ports: null }, 'ports'],
    [{ ports: { '80/tcp': { scheduler: 'best' } } }, 'ports.80/tcp.scheduler'],
    [{ realServers: { rs9: {} } }, 'realServers.rs9.address'],
    [{ realServers: { rs1: 'x' } }, 'realServers.rs1'],
    [{ extra: 1 }, 'extra'],
  ];
  for (const [patch, path] of refused)
    isProblem(t, await c.call('PATCH', '/v1/pools/web', patch), 400, 'INVALID_REQUEST', path);
  for (const patch of [[], 3, '"x"', null, true])
    isProblem(t, await c.call('PATCH', '/v1/pools/web', patch), 400, 'INVALID_REQUEST', '');
  t.equal(whole(c), before);
});

t.test(
  'a pool that does not exist is 404 for GET, PATCH and DELETE, also when it has the name of a built-in',
  async (t) => {
    const c = await startController(t);
    await c.call('PUT', '/v1/pools/web', webPool());
    const before = whole(c);
    for (const name of ['nope', 'constructor'])
      for (const [method, url] of [
        ['GET', `/v1/pools/${name}`],
        ['PATCH', `/v1/pools/${name}`],
        ['DELETE', `/v1/pools/${name}`],
        ['GET', `/v1/pools/${name}/real-servers`],
        ['PUT', `/v1/pools/${name}/real-servers`],
        ['PATCH', `/v1/pools/${name}/real-servers`],
        ['DELETE', `/v1/pools/${name}/real-servers`],
        ['GET', `/v1/pools/${name}/real-servers/rs1`],
        ['PATCH', `/v1/pools/${name}/real-servers/rs1`],
        ['DELETE', `/v1/pools/${name}/real-servers/rs1`],
        ['GET', `/v1/status?pool=${name}`],
      ] as const) {
        const answer = await c.call(method, url, method === 'PUT' || method === 'PATCH' ? {} : undefined);
        isProblem(t, answer, 404, 'NOT_FOUND');
        t.match(answer.body.detail, new RegExp(`"${name}"; PUT /v1/pools/${name} makes it`), `${method} ${url}`);
      }
    const { address } = webPool().realServers.rs1;
    isProblem(t, await c.call('PUT', '/v1/pools/nope/real-servers/rs1', { address }), 404, 'NOT_FOUND');
    t.equal(whole(c), before);
  },
);

t.test('a pool may be called like a built-in of the language', async (t) => {
  const c = await startController(t);
  const url = '/v1/pools/constructor';
  const realServers = { constructor: { address: '192.0.2.11' } };
  t.equal((await c.call('PUT', url, { ...webPool(), realServers })).status, 201);
  t.equal((await c.call('PUT', `${url}/real-servers/constructor`, { address: '192.0.2.12' })).status, 202, 'it drains');
  t.equal((await c.call('GET', url)).body.realServers.constructor.address, '192.0.2.12');
  t.equal((await c.call('GET', '/v1/status?pool=constructor')).body.pools.constructor.revision, 2);
  t.equal((await c.call('DELETE', `${url}/real-servers/constructor`)).status, 202);
  t.equal((await c.call('DELETE', url)).status, 202);
  t.equal((await c.call('GET', url)).status, 404);
});

t.test('a name that is no DNS label is refused with what a name is', async (t) => {
  const c = await startController(t);
  for (const name of ['Web', 'a_b', '-a', 'a.b', 'a%2Fb', '%00', 'ä', 'x'.repeat(64), '%E4%BD%A0'])
    for (const method of ['GET', 'PUT', 'DELETE']) {
      const answer = await c.call(method, `/v1/pools/${name}`, method === 'PUT' ? webPool() : undefined);
      isProblem(t, answer, 400, 'INVALID_REQUEST', 'pool');
      t.match(answer.body.detail, /DNS label/, `${method} ${name}`);
    }
  t.equal(c.state.get().revision, 0);
});

t.test('addresses are kept in their one spelling', async (t) => {
  const c = await startController(t);
  const pool = {
    vip: '2001:DB8:0:0::0100',
    ports: { '443/tcp': { policy: 'real-servers', persistenceSeconds: 60, persistenceNetmask: 64 } },
    realServers: { rs1: { address: '2001:0db8::000b' } },
  };
  await c.call('PUT', '/v1/pools/web', pool);
  const { body } = await c.call('GET', '/v1/pools/web');
  t.match(body, { vip: '2001:db8::100', realServers: { rs1: { address: '2001:db8::b' } } });
});

t.test('for any pools', async (t) => {
  const c = await startController(t);
  // Drains of the round before end at any time, and count as revisions; the pools are what a write is about.
  const stored = () => JSON.stringify(c.state.get().pools);
  const refill = async (pools: Pools) => {
    await c.call('DELETE', '/v1/pools');
    const put = await c.call('PUT', '/v1/pools', { pools });
    if (put.status > 202) throw new Error(JSON.stringify(put.body));
  };

  holds(
    t,
    'what was PUT is what GET answers, normalized, and the next PUT of it changes nothing',
    fc.asyncProperty(poolsArb, async (pools) => {
      await c.call('DELETE', '/v1/pools');
      for (const [name, pool] of Object.entries(pools)) {
        const put = await c.call('PUT', `/v1/pools/${name}`, pool);
        if (put.status !== 201) throw new Error(`${put.status} ${JSON.stringify(put.body)}`);
        const got = await c.call('GET', `/v1/pools/${name}`);
        if (JSON.stringify(got.body) !== JSON.stringify(poolSchema.parse(pool))) return false;
        const before = stored();
        const again = await c.call('PUT', `/v1/pools/${name}`, got.body);
        if (again.headers.etag !== put.headers.etag || again.status !== 200 || stored() !== before) return false;
      }
      const before = stored();
      const { body } = await c.call('GET', '/v1/pools');
      return (await c.call('PUT', '/v1/pools', body)).status === 200 && stored() === before;
    }),
    100,
  );

  holds(
    t,
    'an empty merge patch changes nothing at any address that takes one',
    fc.asyncProperty(poolsArb, async (pools) => {
      await refill(pools);
      const before = stored();
      for (const [name, { realServers }] of Object.entries(pools)) {
        const url = `/v1/pools/${name}`;
        const members = Object.keys(realServers).map((rs) => `${url}/real-servers/${rs}`);
        for (const at of [url, `${url}/real-servers`, ...members])
          if ((await c.call('PATCH', at, {})).status > 202) return false;
      }
      return stored() === before;
    }),
    100,
  );
});
