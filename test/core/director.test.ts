import fc from 'fast-check';
import t from 'tap';
import { desiredDirector, sysctlName } from '../../src/core/director.ts';
import { ipvsSysctls } from '../../src/core/ipvs-sysctls.ts';
import { serviceId, serviceKey } from '../../src/core/kernel-state.ts';
import { standingsOf } from '../../src/core/standings.ts';
import { poolsOf } from '../../src/core/state.ts';
import { poolsSchema } from '../../src/schema.ts';
import { fitAgents, worldArb } from '../arbitraries.ts';
import { holds } from '../property.ts';
import { historyArb, live } from './history.ts';
import { createSite, desiredOf, factsOf, put, reconcile, type Site } from './site.ts';

const balanced = { policy: 'real-servers' };
const site = (pool: object, more: Partial<Site> = {}): Site => {
  const pools = poolsSchema.parse({ web: { vip: '192.0.2.100', ports: { '80/tcp': balanced }, ...pool } });
  const site = createSite({ agents: fitAgents(pools), ...more });
  put(site, pools);
  return site;
};
const desired = (pool: object, more: Partial<Site> = {}) => desiredOf(factsOf(site(pool, more)));
const rs1 = { address: '192.0.2.11' };
/** Weights by address, of each service of a site. */
const weightsOf = (site: Site) =>
  [...desiredOf(factsOf(site)).services.values()].map(({ destinations }) =>
    destinations.map(({ address, weight }) => [address, weight]),
  );

holds(
  t,
  'no history leaves an active and attested real server of configured weight above 0 with another weight',
  fc.property(worldArb, historyArb, (world, history) => {
    const site = createSite({ world });
    live(site, history);
    const pools = poolsOf(site.state);
    site.agents = fitAgents(pools);
    reconcile(site);
    return Object.values(pools).every(({ vip, ports, realServers }) =>
      Object.entries(ports).every(([key, { policy }]) => {
        const destinations = site.world.services.get(`${vip.includes(':') ? `[${vip}]` : vip}:${key}`)?.destinations;
        if (policy === 'director') return destinations === undefined;
        return Object.values(realServers).every(({ address, weight, state }) => {
          const is = destinations?.find((d) => d.address === address);
          return state === 'active' ? is?.weight === weight : (is?.weight ?? 0) === 0;
        });
      }),
    );
  }),
);

holds(
  t,
  'the weight that status tells is the weight that the kernel gets, on every port',
  fc.property(worldArb, historyArb, (world, history) => {
    const site = createSite({ world });
    live(site, history);
    const facts = factsOf(site);
    const { services } = desiredOf(facts);
    return Object.entries(facts.pools).every(([name, pool]) => {
      const standings = standingsOf(facts.pools, facts.drains, facts).get(name)!;
      return Object.entries(pool.realServers).every(([rs, { address }]) =>
        [...standings.ports].every(([key, { members }]) =>
          services
            .get(serviceKey(serviceId(pool.vip, key)))
            ?.destinations.every((d) => d.address !== address || d.weight === members.get(rs)?.weight),
        ),
      );
    });
  }),
);

t.test('a pool is a service for each balanced port, with every real server on the service’s own port', async (t) => {
  const { services, addresses, vips, localPorts, sysctls } = desired({
    ports: {
      '80/tcp': balanced,
      '53/udp': { ...balanced, scheduler: 'rr', onePacket: true },
      '8080/tcp': { policy: 'director' },
    },
    realServers: { rs1: { ...rs1, weight: 7, upperThreshold: 9, lowerThreshold: 3 }, rs2: { address: '192.0.2.12' } },
  });
  t.strictSame([...services.keys()], ['192.0.2.100:80/tcp', '192.0.2.100:53/udp']);
  t.strictSame(services.get('192.0.2.100:53/udp'), {
    id: { vip: '192.0.2.100', port: 53, protocol: 'udp' },
    config: { scheduler: 'rr', schedulerBits: [], persistenceSeconds: 0, persistencePrefix: 32, onePacket: true },
    destinations: [
      { address: '192.0.2.11', port: 53, method: 'gatewaying', weight: 7, upperThreshold: 9, lowerThreshold: 3 },
      { address: '192.0.2.12', port: 53, method: 'gatewaying', weight: 100, upperThreshold: 0, lowerThreshold: 0 },
    ],
  });
  t.strictSame([...addresses.values()], [{ address: '192.0.2.100', prefix: 32, interface: 'eth0' }]);
  t.strictSame([...vips], ['192.0.2.100']);
  t.strictSame([...localPorts], [['192.0.2.100:8080/tcp', { vip: '192.0.2.100', port: 8080, protocol: 'tcp' }]]);
  t.strictSame(
    [...sysctls],
    ipvsSysctls.map(({ key, value }) => [key, value]),
    'as IPVS must work for it',
  );
});

t.test('pools that share a VIP on different ports are one address with the services of both', async (t) => {
  const s = createSite();
  const pool = (port: string) => ({ vip: '192.0.2.100', ports: { [port]: balanced } });
  put(s, poolsSchema.parse({ a: pool('80/tcp'), b: pool('443/tcp') }));
  const { services, addresses } = desiredOf(factsOf(s));
  t.strictSame([...services.keys()], ['192.0.2.100:80/tcp', '192.0.2.100:443/tcp']);
  t.equal(addresses.size, 1);
});

t.test(
  'an IPv6 VIP is announced when the link comes back (ndisc_notify), under the interface’s name in sysctls',
  async (t) => {
    const six = site({ vip: '2001:db8::100' });
    const facts = { ...factsOf(six), interface: 'eth0.7' };
    const { addresses, sysctls } = desiredOf(facts);
    t.strictSame(
      [...sysctls].filter(([key]) => !key.startsWith('net.ipv4.vs.')),
      [['net.ipv6.conf.eth0/7.ndisc_notify', '1']],
    );
    t.strictSame([...addresses.values()], [{ address: '2001:db8::100', prefix: 128, interface: 'eth0.7' }]);
    t.equal(sysctlName('eth0.7'), 'eth0/7');
  },
);

t.test('a VIP that somebody else moves, or that another host answers for, is programmed but not taken', async (t) => {
  for (const more of [{ manageVip: false }, { conflicts: new Map([['192.0.2.100', '02:00:00:00:00:99']]) }]) {
    const { services, addresses, vips } = desired({}, more);
    t.equal(services.size, 1);
    t.equal(addresses.size, 0);
    t.strictSame([...vips], ['192.0.2.100']);
  }
});

t.test('scheduler flags become the bits that they stand for, sorted and once each', async (t) => {
  const bits = (scheduler: string, schedulerFlags: string[]) =>
    [...desired({ ports: { '80/tcp': { ...balanced, scheduler, schedulerFlags } } }).services.values()][0]?.config
      .schedulerBits;
  t.strictSame(bits('sh', ['sh-port', 'sh-fallback']), ['flag-1', 'flag-2']);
  t.strictSame(bits('mh', ['mh-fallback', 'mh-port', 'flag-1']), ['flag-1', 'flag-2']);
  t.strictSame(bits('wlc', ['flag-3']), ['flag-3']);
});

t.test('what is handed over comes to the front by a scheduler that leaves nobody else a share', async (t) => {
  const policy = { policy: 'url', engine: 'handoff', rules: [{ match: { pathPrefix: '/' }, to: 'real-servers' }] };
  for (const scheduler of ['mh', 'sh', 'dh', 'wlc']) {
    const { services } = desired({ ports: { '80/tcp': { ...policy, scheduler } }, realServers: { rs1 } });
    const [service] = services.values();
    t.match(service?.config, { scheduler: 'wlc', schedulerBits: [] }, scheduler);
    t.strictSame(
      service?.destinations.map(({ weight }) => weight),
      [1, 0],
    );
  }
});

t.test('persistence has the netmask that was asked for, or one client per address', async (t) => {
  const of = (vip: string, port: object) => {
    const [service] = desired({ vip, ports: { '80/tcp': { ...balanced, ...port } } }).services.values();
    return [service?.config.persistenceSeconds, service?.config.persistencePrefix];
  };
  t.strictSame(of('192.0.2.100', {}), [0, 32]);
  t.strictSame(of('192.0.2.100', { persistenceSeconds: 300 }), [300, 32]);
  t.strictSame(of('192.0.2.100', { persistenceSeconds: 300, persistenceNetmask: '255.255.0.0' }), [300, 16]);
  t.strictSame(of('192.0.2.100', { persistenceSeconds: 300, persistenceNetmask: 24 }), [300, 24]);
  t.strictSame(of('2001:db8::100', { persistenceSeconds: 300 }), [300, 128]);
  t.strictSame(of('2001:db8::100', { persistenceSeconds: 300, persistenceNetmask: 64 }), [300, 64]);
});

t.test('a real server with an address of this host is the director itself, and needs no agent', async (t) => {
  const local = site({ realServers: { self: { address: '192.0.2.1' }, rs1 } }, { agents: new Map() });
  const standings = standingsOf(poolsOf(local.state), [], factsOf(local)).get('web')?.realServers;
  t.match(standings?.get('self'), { weight: 100, serving: true, reason: /LocalNode/ });
  t.match(standings?.get('rs1'), { weight: 0, serving: false, reason: /no agent has reported/ });
});

t.test('who leaves keeps a destination of weight 0 on the ports it had, until its drain is done', async (t) => {
  const s = site({ realServers: { rs1 } });
  put(s, poolsSchema.parse({ web: { vip: '192.0.2.100', ports: { '80/tcp': balanced, '443/tcp': balanced } } }));
  t.strictSame(weightsOf(s), [[['192.0.2.11', 0]], []]);
  s.state = { ...s.state, drains: s.state.drains.map((d) => ({ ...d, done: true })) };
  t.strictSame(weightsOf(s), [[], []]);
});

t.test('a drain of a pool at another VIP adds nothing here', async (t) => {
  const s = site({ realServers: { rs1 } });
  put(s, poolsSchema.parse({ web: { vip: '192.0.2.101', ports: { '80/tcp': balanced } } }));
  s.state = { ...s.state, drains: s.state.drains.map((d) => ({ ...d, done: false })) };
  t.strictSame(weightsOf(s), [[]]);
});

t.test('an address that left under one name and is there again under another has one destination', async (t) => {
  const s = site({ realServers: { rs1 } });
  const drain = {
    pool: 'web',
    realServer: 'rs0',
    vip: '192.0.2.100',
    address: rs1.address,
    ports: ['80/tcp'],
    deadline: 0,
    drainMs: 0,
    done: false,
  };
  s.state = { ...s.state, drains: [drain] };
  t.strictSame(weightsOf(s), [[[rs1.address, 100]]]);
});

t.test('who is out of service has no destination once its drain is done', async (t) => {
  const s = site({ realServers: { rs1 } });
  const out = (state: string) =>
    poolsSchema.parse({
      web: { vip: '192.0.2.100', ports: { '80/tcp': balanced }, realServers: { rs1: { ...rs1, state } } },
    });
  const of = () => [...desiredOf(factsOf(s)).services.values()][0]?.destinations;
  for (const state of ['drain', 'maintenance']) {
    put(s, out(state));
    t.match(of(), [{ weight: 0 }], state);
    s.state = { ...s.state, drains: s.state.drains.map((d) => ({ ...d, done: true })) };
    t.strictSame(of(), [], state);
    put(s, out('active'));
  }
  t.match(of(), [{ weight: 100 }]);
});

t.test('a port of a pool is a service of its VIP', async (t) => {
  t.strictSame(serviceId('192.0.2.100', '53/udp'), { vip: '192.0.2.100', port: 53, protocol: 'udp' });
});

t.test(
  'with fallback "director" the VIP itself is a destination too, of weight 1 only where nobody serves',
  async (t) => {
    const fallback = 'director';
    t.strictSame(weightsOf(site({ realServers: { rs1 }, fallback })), [
      [
        ['192.0.2.11', 100],
        ['192.0.2.100', 0],
      ],
    ]);
    t.strictSame(weightsOf(site({ realServers: { rs1 }, fallback }, { agents: new Map() })), [
      [
        ['192.0.2.11', 0],
        ['192.0.2.100', 1],
      ],
    ]);
    t.strictSame(weightsOf(site({ fallback })), [[['192.0.2.100', 1]]]);
  },
);

t.test('a pool that has no standings yet has destinations of weight 0', async (t) => {
  const facts = factsOf(site({ realServers: { rs1 }, fallback: 'director' }));
  const [service] = desiredDirector(facts, new Map()).services.values();
  t.match(service?.destinations, [
    { address: '192.0.2.11', weight: 0 },
    { address: '192.0.2.100', weight: 0 },
  ]);
});
