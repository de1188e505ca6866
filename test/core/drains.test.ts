import fc from 'fast-check';
import t from 'tap';
import { advanceDrains, connectionsOf, type DrainWatch, remainingOf, straysOf } from '../../src/core/drains.ts';
import { type Drain, poolsOf } from '../../src/core/state.ts';
import { type Pools, poolsSchema } from '../../src/schema.ts';
import { fitAgents, worldArb } from '../arbitraries.ts';
import { addressOn } from '../fake-kernel.ts';
import { holds } from '../property.ts';
import { historyArb, live } from './history.ts';
import { createSite, pass, put, reconcile, type Site } from './site.ts';

const port = { policy: 'real-servers' };
const web = (realServers: object, ports: object = { '80/tcp': port }): Pools =>
  poolsSchema.parse({ web: { vip: '192.0.2.100', ports, realServers } });
const rs1 = { address: '192.0.2.11' };
const rs2 = { address: '192.0.2.12' };

/** A site where this document is reconciled, with every agent fit. */
function running(pools: Pools, more: Partial<Site> = {}): Site {
  const site = createSite({ agents: fitAgents(pools), ...more });
  put(site, pools);
  reconcile(site);
  return site;
}

/** Sets the connections of the real server at `address`, on every service. */
function connect(
  site: Site,
  address: string,
  counts: Partial<{ active: number; inactive: number; persistent: number }>,
) {
  for (const { destinations } of site.world.services.values())
    for (const d of destinations) if (d.address === address) d.connections = { ...d.connections, ...counts };
}

const weights = (site: Site) =>
  Object.fromEntries(
    [...site.world.services.values()].flatMap((s) => s.destinations.map((d) => [d.address, d.weight])),
  );

t.test('a drain waits for the last connection and three idle seconds, then the destination goes', async (t) => {
  const site = running(web({ rs1, rs2 }));
  connect(site, rs2.address, { active: 1, inactive: 5 });
  put(site, web({ rs1 }), 30_000);
  reconcile(site);
  t.strictSame(weights(site), { '192.0.2.11': 100, '192.0.2.12': 0 });
  pass(site, 20_000);
  reconcile(site);
  t.match(site.state.drains, [{ done: false }], 'it is still served');
  connect(site, rs2.address, { active: 0 });
  reconcile(site);
  pass(site, 2999);
  reconcile(site);
  t.strictSame(weights(site), { '192.0.2.11': 100, '192.0.2.12': 0 }, 'a handshake may be under way');
  pass(site, 1);
  reconcile(site);
  t.strictSame(weights(site), { '192.0.2.11': 100 });
  t.match(site.state.drains, [{ done: true }], 'the agent keeps the VIP until the kernel was seen without it');
  reconcile(site);
  t.strictSame(site.state.drains, []);
});

t.test('a connection that comes back starts the idle time anew', async (t) => {
  const site = running(web({ rs1, rs2 }));
  put(site, web({ rs1 }), 30_000);
  for (const active of [0, 1, 0]) {
    connect(site, rs2.address, { active });
    reconcile(site);
    pass(site, 2000);
  }
  reconcile(site);
  t.match(site.state.drains, [{ done: false }]);
  pass(site, 1000);
  reconcile(site);
  t.match(site.state.drains, [{ done: true }]);
});

t.test('the deadline cuts what is left, and drainMs 0 is at once', async (t) => {
  for (const drainMs of [30_000, 0]) {
    const site = running(web({ rs1, rs2 }));
    connect(site, rs2.address, { active: 3 });
    put(site, web({ rs1 }), drainMs);
    reconcile(site);
    pass(site, drainMs);
    reconcile(site);
    t.strictSame(weights(site), { '192.0.2.11': 100 }, `${drainMs}`);
  }
});

t.test('connections are counted over all ports; inactive ones only where UDP is among them', async (t) => {
  const site = running(web({ rs1 }, { '80/tcp': port, '53/udp': port, '99/udp': { policy: 'director' } }));
  connect(site, rs1.address, { active: 1, inactive: 2, persistent: 3 });
  put(site, web({}, { '80/tcp': port, '53/udp': port, '99/udp': { policy: 'director' } }));
  const [drain] = site.state.drains;
  const left = connectionsOf(drain!, site.world.services);
  t.strictSame(left, { active: 2, inactive: 4, persistent: 6 });
  t.equal(remainingOf(drain!, left), 12);
  t.equal(remainingOf({ ...drain!, ports: ['80/tcp'] }, left), 8);
  t.strictSame(connectionsOf({ ...drain!, ports: ['81/tcp'] }, site.world.services), {
    active: 0,
    inactive: 0,
    persistent: 0,
  });
});

t.test('active again before the deadline: the weight comes back and the drain is over', async (t) => {
  const site = running(web({ rs1 }));
  connect(site, rs1.address, { active: 1 });
  put(site, web({ rs1: { ...rs1, state: 'maintenance' } }));
  reconcile(site);
  t.strictSame(weights(site), { '192.0.2.11': 0 });
  put(site, web({ rs1 }));
  reconcile(site);
  t.strictSame(weights(site), { '192.0.2.11': 100 });
  t.strictSame(site.state.drains, []);
});

t.test('who is drained but stays in its pool stays drained, also after its deadline', async (t) => {
  const site = running(web({ rs1 }));
  put(site, web({ rs1: { ...rs1, state: 'drain' } }), 1000);
  for (let i = 0; i < 5; i++) {
    reconcile(site);
    pass(site, 1000);
  }
  t.strictSame(weights(site), {});
  t.match(site.state.drains, [{ realServer: 'rs1', done: true }]);
});

t.test('a deleted pool is forgotten once its services and then its VIP are gone', async (t) => {
  const site = running(web({ rs1 }));
  put(site, {});
  const reasons: string[] = [];
  while (site.state.drains.length > 0) {
    const { steps } = reconcile(site, { cutAfter: 1 });
    reasons.push(steps[0]?.op ?? 'nothing');
  }
  t.strictSame(reasons, ['delete-service', 'delete-address', 'set-sysctl']);
});

t.test('the agent need not wait for a VIP that was there before, or that somebody else added', async (t) => {
  const theirs = addressOn('eth1', '192.0.2.100', 24);
  const adopted = createSite();
  adopted.world.addresses.push(theirs);
  put(adopted, web({ rs1 }));
  reconcile(adopted);
  const made = running(web({ rs1 }));
  made.world.addresses.push(theirs);
  for (const site of [adopted, made]) {
    put(site, {});
    reconcile(site);
    reconcile(site);
    t.strictSame(site.state.drains, []);
    t.match(site.world.addresses, [{}, {}, theirs]);
  }
});

t.test('a port that another pool takes over with the same real server does not keep a drain alive', async (t) => {
  const site = running(web({ rs1 }));
  const other = { ...web({ rs1 }).web! };
  put(site, { other });
  reconcile(site);
  t.strictSame(site.state.drains, []);
  t.strictSame(weights(site), { '192.0.2.11': 100 });
});

holds(
  t,
  'a drain ends by its deadline, however many connections are left and wherever the wall clock jumps',
  fc.property(
    fc.nat(60_000),
    fc.array(fc.tuple(fc.nat(5000), fc.integer({ min: -1e9, max: 1e9 })), { minLength: 1, maxLength: 40 }),
    (drainMs, ticks) => {
      const site = running(web({ rs1, rs2 }));
      connect(site, rs2.address, { active: 9 });
      put(site, web({ rs1 }), drainMs);
      reconcile(site);
      const end = site.clocks.steady + drainMs;
      return ticks.every(([ms, jump]) => {
        pass(site, ms);
        site.clocks.wall += jump;
        reconcile(site);
        const over = !site.state.drains.some((d) => !d.done);
        return site.clocks.steady < end ? !over || drainMs === 0 : over;
      });
    },
  ),
);

holds(
  t,
  'a drain that a restart interrupts is given no more than its time anew, and no more than is left by the wall clock',
  fc.property(fc.nat(60_000), fc.nat(60_000), fc.integer({ min: -1e9, max: 1e9 }), (drainMs, ms, jump) => {
    const site = running(web({ rs1, rs2 }));
    connect(site, rs2.address, { active: 9 });
    put(site, web({ rs1 }), drainMs);
    reconcile(site);
    const { deadline } = site.state.drains[0]!;
    pass(site, ms);
    site.watches.clear();
    site.clocks.wall += jump;
    reconcile(site);
    pass(site, Math.min(Math.max(deadline - site.clocks.wall, 0), drainMs));
    reconcile(site);
    return site.state.drains.every((d) => d.done);
  }),
);

holds(
  t,
  'no drain outlives its deadline and two passes, unless its real server is still a member, and no watch its drain',
  fc.property(worldArb, historyArb, (world, history) => {
    const site = createSite({ world });
    live(site, history);
    reconcile(site);
    pass(site, 60_000);
    for (let i = 0; i < 3; i++) reconcile(site);
    const pools = poolsOf(site.state);
    const stay = (d: Drain) =>
      Object.values(pools[d.pool]?.realServers ?? {}).some(({ address }) => address === d.address) ||
      // The service was there before, and is as it was found: with this real server.
      [...world.services.values()].some(
        (s) => s.id.vip === d.vip && s.destinations.some((x) => x.address === d.address),
      );
    return site.state.drains.every((d) => d.done && stay(d)) && site.watches.size === 0;
  }),
);

t.test('nothing that changes is nothing new: the same drains come back', async (t) => {
  const site = running(web({ rs1, rs2 }));
  put(site, web({ rs1 }));
  const watches = new Map<string, DrainWatch>();
  const of = () => advanceDrains(site.state, site.world.services, site.world.addresses, watches, site.clocks);
  t.equal(of(), site.state.drains);
  t.equal(of(), site.state.drains);
});

t.test(
  'a destination that an adopted service had and no pool names is drained, once, over all its ports',
  async (t) => {
    const site = createSite({ agents: fitAgents(web({ rs1 })) });
    const ports = { '80/tcp': port, '443/tcp': port };
    put(site, web({ rs1, rs2 }, ports));
    reconcile(site);
    const stray = createSite({ world: site.world, agents: fitAgents(web({ rs1 })) });
    put(stray, web({ rs1 }, ports));
    reconcile(stray);
    t.match(stray.state.drains, [
      { pool: 'web', realServer: null, address: '192.0.2.12', ports: ['80/tcp', '443/tcp'], done: false },
    ]);
    t.equal(stray.state.drains.length, 1);
    t.equal(weights(stray)['192.0.2.12'], 0);
    pass(stray, 60_000);
    reconcile(stray);
    reconcile(stray);
    t.strictSame(weights(stray), { '192.0.2.11': 100 });
    t.strictSame(stray.state.drains, []);
  },
);

t.test('a stray on another port than its service’s is not drained: it cannot be Direct Routing', async (t) => {
  const site = running(web({ rs1 }));
  const [service] = site.world.services.values();
  service!.destinations.push({ ...service!.destinations[0]!, address: '192.0.2.12', port: 8080 });
  const stray = createSite({ world: site.world, agents: site.agents });
  put(stray, web({ rs1 }));
  reconcile(stray);
  t.strictSame(stray.state.drains, []);
  t.strictSame(weights(stray), { '192.0.2.11': 100 });
});

t.test('a service that no pool names any more, because of a PUT in between, has no strays', async (t) => {
  const site = running(web({ rs1 }));
  const { ledger } = site.state;
  const [key, service] = [...site.world.services][0]!;
  const after = { ...ledger, services: { [key]: { origin: 'adopted' as const, before: service } } };
  const desired = {
    services: new Map([[key, { ...service, destinations: [] }]]),
    addresses: new Map(),
    vips: new Set<string>(),
    localPorts: new Map(),
    sysctls: new Map(),
    routes: new Map(),
  };
  const limit = { deadline: 0, drainMs: 0 };
  t.equal(straysOf({ ...ledger, services: {} }, after, desired, site.state, limit).length, 1);
  t.strictSame(straysOf({ ...ledger, services: {} }, after, desired, { ...site.state, pools: {} }, limit), []);
});
