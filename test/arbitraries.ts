import fc from 'fast-check';
import type { AgentRecord, Agents } from '../src/core/agents.ts';
import type { ActualAddress, ActualService, ServiceConfig } from '../src/core/kernel-state.ts';
import { serviceKey } from '../src/core/kernel-state.ts';
import { conflictsIn } from '../src/core/pools.ts';
import { type Pools, poolsSchema, schedulers } from '../src/schema.ts';
import { addressOn, createWorld, snapshot, type World } from './fake-kernel.ts';

// Few names and addresses, so that pools, agents and kernels meet and clash often.
const poolNames = ['web', 'img', 'dns', 'constructor'] as const;
/** "self" may get the director's own address; "constructor" is a name that every object has. */
export const realServerNames = ['rs1', 'rs2', 'rs3', 'self', 'constructor'] as const;
const vipsOf = {
  ipv4: ['192.0.2.100', '192.0.2.101'],
  ipv6: ['2001:db8::100', '2001:db8::101'],
} as const;
const hostAddresses = {
  ipv4: ['192.0.2.1', ...[11, 12, 13, 14, 15, 16].map((n) => `192.0.2.${n}`)],
  ipv6: ['2001:db8::1', ...[11, 12, 13, 14, 15, 16].map((n) => `2001:db8::${n}`)],
};
const ports = [53, 80, 443];
const families = ['ipv4', 'ipv6'] as const;
type Family = (typeof families)[number];

const familyArb = fc.constantFrom<Family>(...families);
const thresholds = fc.tuple(fc.nat(5), fc.nat(5)).map(([a, b]) => ({
  upperThreshold: Math.max(a, b),
  lowerThreshold: Math.min(a, b),
}));
const flagsOf: Record<string, readonly string[]> = {
  sh: ['sh-fallback', 'sh-port', 'flag-3'],
  mh: ['mh-fallback', 'mh-port', 'flag-1'],
};

const balancedPort = (family: Family, udp: boolean) =>
  fc
    .record({
      scheduler: fc.option(fc.constantFrom(...schedulers), { nil: undefined, freq: 4 }),
      flags: fc.subarray([0, 1, 2]),
      onePacket: fc.boolean(),
      persistenceSeconds: fc.option(fc.integer({ min: 1, max: 600 }), { nil: undefined }),
      mask:
        family === 'ipv4' ? fc.constantFrom(undefined, '255.255.255.0', 24, 32) : fc.constantFrom(undefined, 64, 128),
    })
    .map(({ scheduler, flags, onePacket, persistenceSeconds, mask }) => {
      const known = flagsOf[scheduler ?? ''] ?? ['flag-1', 'flag-2', 'flag-3'];
      return JSON.parse(
        JSON.stringify({
          policy: 'real-servers',
          scheduler,
          schedulerFlags: flags.length > 0 ? flags.map((i) => known[i]) : undefined,
          onePacket: udp ? onePacket : undefined,
          persistenceSeconds,
          persistenceNetmask: persistenceSeconds && mask,
        }),
      ) as object;
    });

const portArb = (family: Family, udp: boolean): fc.Arbitrary<object> =>
  fc.oneof(
    { weight: 4, arbitrary: balancedPort(family, udp) },
    fc.constant({ policy: 'director' }),
    ...(udp ? [] : [balancedPort(family, udp).map((port) => ({ ...port, ...urlPolicy }))]),
  );

const urlPolicy = {
  policy: 'url',
  rules: [{ match: { extensions: ['jpg'] }, to: 'real-servers' }],
  edge: { origin: '192.0.2.10:8080' },
};

const portsArb = (family: Family) =>
  fc
    .uniqueArray(fc.tuple(fc.constantFrom(...ports), fc.constantFrom('tcp', 'udp')), {
      minLength: 1,
      maxLength: 3,
      selector: String,
    })
    .chain((keys) =>
      fc.record(
        Object.fromEntries(
          keys.map(([port, protocol]) => [`${port}/${protocol}`, portArb(family, protocol === 'udp')]),
        ),
      ),
    );

const memberArb = fc
  .tuple(
    fc.record(
      {
        weight: fc.constantFrom(0, 1, 5, 100, 65535),
        state: fc.constantFrom('active', 'active', 'active', 'drain', 'maintenance'),
      },
      { requiredKeys: [] },
    ),
    fc.option(thresholds, { freq: 3, nil: {} }),
  )
  .map(([some, limits]) => ({ ...some, ...limits }));

const membersArb = fc
  .subarray([...realServerNames])
  .chain((names) => fc.record(Object.fromEntries(names.map((name) => [name, memberArb]))));

/** Which host has which address, per family: one name, one address, and no address twice. */
const hostsArb = fc.record({
  ipv4: fc.shuffledSubarray(hostAddresses.ipv4, { minLength: realServerNames.length }),
  ipv6: fc.shuffledSubarray(hostAddresses.ipv6, { minLength: realServerNames.length }),
});

const usualHosts = fc.constant({ ipv4: hostAddresses.ipv4.slice(1), ipv6: hostAddresses.ipv6.slice(1) });

const poolArb = familyArb.chain((family) =>
  fc.record({
    family: fc.constant(family),
    vip: fc.constantFrom(...vipsOf[family]),
    ports: portsArb(family),
    members: membersArb,
  }),
);

/** A valid pools document: as a user might PUT it, parsed. */
export const poolsArb: fc.Arbitrary<Pools> = fc
  .tuple(
    fc.dictionary(fc.constantFrom(...poolNames), poolArb, { maxKeys: 4, noNullPrototype: true }),
    fc.oneof({ weight: 3, arbitrary: usualHosts }, hostsArb),
  )
  .map(([drafts, hosts]) => {
    const taken = new Set<string>();
    const pools: Record<string, unknown> = {};
    for (const [name, draft] of Object.entries(drafts)) {
      const free = Object.entries(draft.ports).filter(([key]) => !taken.has(`${draft.vip} ${key}`));
      for (const [key] of free) taken.add(`${draft.vip} ${key}`);
      const realServers = Object.entries(draft.members).map(([rs, member]) => [
        rs,
        { ...member, address: hosts[draft.family][realServerNames.indexOf(rs as 'rs1')] },
      ]);
      if (free.length > 0)
        pools[name] = { vip: draft.vip, ports: Object.fromEntries(free), realServers: Object.fromEntries(realServers) };
    }
    const parsed = poolsSchema.parse(pools);
    if (conflictsIn(parsed).length > 0) throw new Error('the arbitrary makes pools that clash');
    return parsed;
  });

/** fc.record gives objects without a prototype, which the parsed ones have. */
const plainRecord = <T>(fields: { [K in keyof T]: fc.Arbitrary<T[K]> }): fc.Arbitrary<T> =>
  fc.record(fields, { noNullPrototype: true }) as fc.Arbitrary<T>;

const vipReportArb = fc.record(
  {
    present: fc.constantFrom(true, true, false),
    suppressed: fc.constantFrom(true, true, false),
    problem: fc.constant('a reason'),
  },
  { requiredKeys: ['present', 'suppressed'], noNullPrototype: true },
);

const recordArb: fc.Arbitrary<AgentRecord> = fc.record({
  lastReport: fc.option(fc.constant(1)),
  report: plainRecord({
    protocol: fc.constant(1 as const),
    machineId: fc.constant('m'),
    bootId: fc.constant('b'),
    revision: fc.nat(9),
    addresses: fc.subarray([...hostAddresses.ipv4, ...hostAddresses.ipv6]),
    vips: fc.dictionary(fc.constantFrom(...vipsOf.ipv4, ...vipsOf.ipv6), vipReportArb, { noNullPrototype: true }),
    problems: fc.constantFrom([], ['a problem']),
  }),
});

/** What some agents said: some silent, some unfit, some on the wrong host. */
export const agentsArb: fc.Arbitrary<Agents> = fc
  .dictionary(fc.constantFrom(...realServerNames), recordArb, { noNullPrototype: true })
  .map((records) => new Map(Object.entries(records)));

/** Every real server of these pools reports that all is in place. */
export function fitAgents(pools: Pools, lastReport: number | null = 1): Agents {
  const agents = new Map<string, AgentRecord>();
  for (const { vip, realServers } of Object.values(pools))
    for (const [name, { address }] of Object.entries(realServers)) {
      const known = agents.get(name)?.report;
      agents.set(name, {
        lastReport,
        report: {
          protocol: 1,
          machineId: name,
          bootId: 'b',
          revision: 1,
          addresses: [...(known?.addresses ?? []), address],
          vips: { ...known?.vips, [vip]: { present: true, suppressed: true } },
          problems: [],
        },
      });
    }
  return agents;
}

const configArb = (vip: string): fc.Arbitrary<ServiceConfig> =>
  fc.record({
    scheduler: fc.constantFrom('wlc', 'rr', 'mh'),
    schedulerBits: fc.subarray(['flag-1', 'flag-2', 'flag-3'] as const),
    persistenceSeconds: fc.constantFrom(0, 0, 300),
    persistencePrefix: vip.includes(':') ? fc.constantFrom(128, 64) : fc.constantFrom(32, 24),
    onePacket: fc.constant(false),
  });

const destinationsArb = (family: Family, port: number) =>
  fc.uniqueArray(
    fc
      .tuple(
        fc.constantFrom(...hostAddresses[family]),
        fc.constantFrom(port, port, 8080),
        fc.constantFrom('gatewaying', 'gatewaying', 'masquerading', 'tunneling', 'local'),
        fc.constantFrom(0, 1, 100),
        thresholds,
        fc.nat(2),
      )
      .map(([address, at, method, weight, limits, active]) => ({
        address,
        port: at,
        method: method as 'gatewaying',
        weight,
        ...limits,
        connections: { active, inactive: 0, persistent: 0 },
      })),
    { selector: (d) => `${d.address} ${d.port}`, maxLength: 4 },
  );

/** VIPs of the pools' choice, and one that no pool ever has. */
const foreign = { ipv4: '198.51.100.7', ipv6: '2001:db8:f::7' } as const;

const serviceArb: fc.Arbitrary<ActualService> = familyArb.chain((family) =>
  fc
    .record({
      vip: fc.constantFrom(...vipsOf[family], foreign[family]),
      port: fc.constantFrom(...ports, 8443),
      protocol: fc.constantFrom('tcp' as const, 'udp' as const),
    })
    .chain((id) =>
      fc.record({ id: fc.constant(id), config: configArb(id.vip), destinations: destinationsArb(family, id.port) }),
    ),
);

const addressArb: fc.Arbitrary<ActualAddress> = familyArb.chain((family) =>
  fc
    .tuple(
      fc.constantFrom(...vipsOf[family], foreign[family]),
      family === 'ipv4' ? fc.constantFrom(32, 24) : fc.constantFrom(128, 64),
      fc.constantFrom('eth0', 'eth1', 'lo'),
    )
    .map(([address, prefix, name]) => addressOn(name, address, prefix)),
);

/** What one (address, interface) may occur as: IPv4 once per prefix, IPv6 once. */
const addressKey = ({ address, prefix, interface: name }: ActualAddress) =>
  `${address} ${name} ${address.includes(':') ? '' : prefix}`;

/** A host with services, addresses and sysctls of its own, many of them where pools want theirs. */
export const worldArb: fc.Arbitrary<World> = fc
  .record({
    services: fc.uniqueArray(serviceArb, { selector: ({ id }) => serviceKey(id), maxLength: 6 }),
    addresses: fc.uniqueArray(addressArb, { selector: addressKey, maxLength: 4 }),
    values: fc.array(fc.constantFrom('0', '1', '2'), { minLength: 3, maxLength: 3 }),
  })
  .map(({ services, addresses, values }) => {
    const world = createWorld({ services: new Map(services.map((s) => [serviceKey(s.id), s])) });
    world.addresses.push(...addresses);
    for (const [i, name] of [
      'ipv4.conf.eth0.arp_ignore',
      'ipv4.conf.all.arp_announce',
      'ipv6.conf.eth0.ndisc_notify',
    ].entries())
      world.sysctls.set(`net.${name}`, values[i] ?? '0');
    return Object.assign(world, { [fc.toStringMethod]: () => `\n${snapshot(world)}\n` });
  });
