import fc from 'fast-check';
import t from 'tap';
import { hostPrefix } from '../../src/core/address.ts';
import type { HostRoute } from '../../src/core/kernel-state.ts';
import { nextLedger, nothingDesired } from '../../src/core/ledger.ts';
import { plan } from '../../src/core/plan.ts';
import {
  desiredRealServer,
  type HostFacts,
  interfaceOf,
  type Listeners,
  reversePathKeys,
  suppressionKeys,
  vipReports,
} from '../../src/core/real-server.ts';
import { emptyLedger, type Ledger } from '../../src/core/state.ts';
import { commandOf, type Step } from '../../src/core/steps.ts';
import type { AgentDesired } from '../../src/schema.ts';
import { addressOn, applyStep, createWorld, linkOf, snapshot, type World } from '../fake-kernel.ts';
import { holds } from '../property.ts';
import { boot, look } from './site.ts';

const vip = '192.0.2.100';
const vip6 = '2001:db8::100';
const own = '192.0.2.11';

/** A real server's host: what src/core does of an agent, on a fake kernel. */
interface Host {
  world: World;
  ledger: Ledger;
  /** Besides those to single addresses. */
  routes: HostRoute[];
  facts: Pick<HostFacts, 'interface' | 'allowedVips' | 'reserved'>;
}

const createHost = (more: Partial<Host['facts']> = {}, world = createWorld()): Host => {
  world.addresses = [
    addressOn('lo', '127.0.0.1', 8),
    addressOn('eth0', own),
    addressOn('eth0', '2001:db8::11', 64),
    ...world.addresses.slice(2),
  ];
  return {
    world: structuredClone(world),
    ledger: emptyLedger(boot),
    routes: [
      { destination: '0.0.0.0', prefix: 0, interface: 'eth0', gateway: true },
      { destination: '192.0.2.0', prefix: 24, interface: 'eth0', gateway: false },
    ],
    facts: { interface: undefined, allowedVips: undefined, reserved: new Map([['192.0.2.254', 'gateway']]), ...more },
  };
};

const factsOf = ({ world, facts, routes }: Host): HostFacts => ({
  ...facts,
  addresses: world.addresses,
  links: world.links,
  routes: [
    ...routes,
    ...world.routes.map((route) => ({
      destination: route.address,
      prefix: hostPrefix(route.address),
      interface: route.interface,
      gateway: false,
    })),
  ],
});
/** Addresses of the prober that an agent makes a route to. */
const probers = ['169.254.1.9', 'fd00::9'];
const wants = (...vips: string[]): AgentDesired => ({
  probers,
  revision: 1,
  vips: vips.map((v) => ({ vip: v, address: v.includes(':') ? '2001:db8::11' : own, ports: ['80/tcp'] })),
});

function stepsOf(host: Host, wanted: AgentDesired): Step[] {
  const actual = { ...look(host.world), addresses: host.world.addresses.filter((a) => a.interface === 'lo') };
  const { desired } = desiredRealServer(wanted, factsOf(host), actual.sysctls);
  host.ledger = nextLedger(host.ledger, desired, actual, boot);
  return plan(desired, actual, host.ledger, { role: 'real-server', settled: true });
}

function reconcile(host: Host, wanted: AgentDesired, each: (step: Step) => void = () => {}): Step[] {
  const steps = stepsOf(host, wanted);
  for (const step of steps) {
    applyStep(host.world, step);
    each(step);
  }
  return steps;
}

/** No socket listens. */
const nobody: Listeners = () => new Map();

const answersArp = ({ sysctls }: World) => {
  const value = (name: string) =>
    Math.max(...['all', 'eth0'].map((dev) => Number(sysctls.get(`net.ipv4.conf.${dev}.${name}`))));
  return ![1, 2].includes(value('arp_ignore')) || value('arp_announce') !== 2;
};

const hostArb = fc
  .record({
    values: fc.array(fc.constantFrom('0', '1', '2'), { minLength: 4, maxLength: 4 }),
    held: fc.subarray([
      addressOn('lo', vip, 32),
      addressOn('lo', '192.0.2.101', 8),
      addressOn('eth1', '192.0.2.102', 24),
      addressOn('lo', vip6, 64),
    ]),
  })
  .map(({ values, held }) => {
    const world = createWorld();
    for (const [i, key] of suppressionKeys('eth0').entries()) world.sysctls.set(key, values[i]!);
    world.addresses.push(...held);
    return createHost({}, world);
  });
const wantedArb = fc
  .subarray([vip, '192.0.2.101', '192.0.2.102', vip6, '2001:db8::101', '192.0.2.254'])
  .map((vips) => wants(...vips));
const lives = fc.array(fc.tuple(wantedArb, fc.nat(8)), { minLength: 1, maxLength: 4 });

holds(
  t,
  'at no step does a host hold a VIP that it put up itself while it would answer ARP for it',
  fc.property(hostArb, lives, (template, wanted) => {
    const host = structuredClone(template);
    const theirs = new Set(host.world.addresses.map(({ address }) => address));
    let silent = true;
    for (const [w] of wanted)
      reconcile(host, w, () => {
        const ours = host.world.addresses.some(
          (a) => !a.address.includes(':') && a.interface === 'lo' && !theirs.has(a.address),
        );
        silent &&= !ours || !answersArp(host.world);
      });
    return silent;
  }),
);

holds(
  t,
  'a plan that was applied leaves nothing to do, also when it was cut in between',
  fc.property(hostArb, lives, (template, wanted) => {
    const host = structuredClone(template);
    return wanted.every(([w, cut]) => {
      for (const step of stepsOf(host, w).slice(0, cut)) applyStep(host.world, step);
      reconcile(host, w);
      return stepsOf(host, w).length === 0;
    });
  }),
);

holds(
  t,
  'every VIP that is not refused is reported present and suppressed, and every refused one with the reason',
  fc.property(hostArb, wantedArb, (template, wanted) => {
    const host = structuredClone(template);
    reconcile(host, wanted);
    const sysctls = look(host.world).sysctls;
    const { refused } = desiredRealServer(wanted, factsOf(host), sysctls);
    const reports = vipReports(wanted, factsOf(host), sysctls, refused, nobody);
    return wanted.vips.every(({ vip: v }) => {
      const said = reports[v];
      return refused.has(v) ? said?.problem === refused.get(v) && !said?.present : said?.present && said.suppressed;
    });
  }),
);

holds(
  t,
  'teardown leaves addresses, routes and sysctls exactly as they were, whatever was wanted and however often it was cut',
  fc.property(hostArb, lives, (template, wanted) => {
    const host = structuredClone(template);
    for (const [w, cut] of wanted) for (const step of stepsOf(host, w).slice(0, cut)) applyStep(host.world, step);
    for (let i = 0; i < 2; i++) {
      const actual = look(host.world);
      for (const step of plan(nothingDesired(), actual, host.ledger, { role: 'real-server', settled: true }))
        applyStep(host.world, step);
    }
    return snapshot(host.world) === snapshot(template.world);
  }),
);

t.test('ARP is suppressed before the VIP comes, and answered again only after it went', async (t) => {
  const host = createHost();
  t.strictSame(reconcile(host, wants(vip)).map(commandOf), [
    'sysctl -w net.ipv4.conf.all.arp_ignore=1',
    'sysctl -w net.ipv4.conf.all.arp_announce=2',
    'sysctl -w net.ipv4.conf.eth0.arp_ignore=1',
    'sysctl -w net.ipv4.conf.eth0.arp_announce=2',
    'ip route add 169.254.1.9/32 dev eth0 scope link',
    'ip addr add 192.0.2.100/32 dev lo',
  ]);
  t.strictSame(reconcile(host, wants()).map(commandOf), [
    'ip addr del 192.0.2.100/32 dev lo',
    'ip route del 169.254.1.9/32 dev eth0 scope link',
    'sysctl -w net.ipv4.conf.all.arp_ignore=0',
    'sysctl -w net.ipv4.conf.all.arp_announce=0',
    'sysctl -w net.ipv4.conf.eth0.arp_ignore=0',
    'sysctl -w net.ipv4.conf.eth0.arp_announce=0',
  ]);
});

t.test('an IPv6 VIP on lo needs no suppression: nobody answers for it on another interface', async (t) => {
  const host = createHost();
  t.strictSame(reconcile(host, wants(vip6)).map(commandOf), [
    'ip -6 route add fd00::9/128 dev eth0 scope link',
    'ip -6 addr add 2001:db8::100/128 dev lo nodad preferred_lft 0',
  ]);
});

t.test('arp_ignore 2 is put to 1 while probes come from another network: they would get no ARP answer', async (t) => {
  const host = createHost();
  host.world.sysctls.set('net.ipv4.conf.eth0.arp_ignore', '2');
  const line = 'sysctl -w net.ipv4.conf.eth0.arp_ignore=1';
  t.ok(reconcile(host, wants(vip)).map(commandOf).includes(line));
  t.ok(reconcile(host, wants()).map(commandOf).includes(line.replace(/1$/, '2')), 'and put back');
});

t.test('arp_ignore 2 is stricter than 1, and else left as it is', async (t) => {
  const host = createHost();
  host.world.sysctls.set('net.ipv4.conf.all.arp_ignore', '2');
  t.notOk(
    reconcile(host, { ...wants(vip), probers: ['fd00::9'] })
      .map(commandOf)
      .some((line) => line.includes('all.arp_ignore')),
  );
  const { sysctls } = look(host.world);
  t.match(vipReports(wants(vip), factsOf(host), sysctls, new Map(), nobody), {
    [vip]: { present: true, suppressed: true },
  });
});

t.test('what is reported is what the kernel has, not what was meant to be done', async (t) => {
  const host = createHost();
  const said = () =>
    vipReports(wants(vip), factsOf(host), look(host.world).sysctls, new Map([[vip, 'x'.repeat(999)]]), nobody)[vip];
  t.strictSame(said(), {
    present: false,
    suppressed: false,
    problem: 'x'.repeat(500),
    listening: { '80/tcp': 'nothing' },
  });
  reconcile(host, wants(vip));
  t.match(said(), { present: true, suppressed: true });
  host.world.sysctls.set('net.ipv4.conf.eth0.arp_ignore', '3');
  t.match(said(), { present: true, suppressed: false }, 'the larger of all and the interface counts');
  host.world.sysctls.delete('net.ipv4.conf.eth0.arp_ignore');
  t.match(said(), { suppressed: true });
  host.world.sysctls.set('net.ipv4.conf.eth0.arp_announce', '0');
  t.match(said(), { suppressed: true }, 'all is enough');
  host.world.sysctls.set('net.ipv4.conf.all.arp_announce', '1');
  t.match(said(), { suppressed: false });
  host.world.addresses = host.world.addresses.filter(({ address }) => address !== own);
  t.match(said(), { suppressed: false }, 'an interface that nobody knows is judged by all');
});

t.test('a VIP that this host must not have is refused, and taken off where it was ours', async (t) => {
  const refusals: [string, Partial<Host['facts']>, (world: World) => void, string][] = [
    [
      vip,
      {},
      (w) => void w.addresses.push(addressOn('eth1', vip, 24)),
      '192.0.2.100 is on eth1 of this host, where it answers ARP; a real server has it on lo only: ip addr del 192.0.2.100/24 dev eth1',
    ],
    [
      vip,
      { reserved: new Map([[vip, 'DNS server']]) },
      () => {},
      "192.0.2.100 is this host's DNS server; it cannot be a VIP here",
    ],
    ['127.0.0.9', {}, () => {}, '127.0.0.9 is a loopback address; it cannot be a VIP'],
    [
      vip,
      { allowedVips: ['203.0.113.0/24', '2001:db8::/32'] },
      () => {},
      '192.0.2.100 lies outside the networks of "allowedVips" in this agent\'s config (203.0.113.0/24, 2001:db8::/32)',
    ],
    [
      vip,
      { allowedVips: [] },
      () => {},
      '192.0.2.100 lies outside the networks of "allowedVips" in this agent\'s config (none)',
    ],
  ];
  for (const [address, facts, change, words] of refusals) {
    const host = createHost();
    if (address === vip) reconcile(host, wants(vip));
    Object.assign(host.facts, facts);
    change(host.world);
    const { desired, refused } = desiredRealServer(wants(address), factsOf(host), new Map());
    t.equal(refused.get(address), words);
    t.equal(desired.addresses.size + desired.vips.size + desired.sysctls.size + desired.routes.size, 0);
    reconcile(host, wants(address));
    t.notOk(
      host.world.addresses.some((a) => a.address === address && a.interface === 'lo'),
      'it is not on lo',
    );
  }
});

t.test('a VIP inside the allowed networks is taken', async (t) => {
  const host = createHost({ allowedVips: ['203.0.113.0/24', '192.0.2.0/24'] });
  t.ok(reconcile(host, wants(vip)).some((step) => step.op === 'add-address'));
});

t.test('while the interface is not there nothing is added, and nothing is taken away', async (t) => {
  const gone: [(host: Host) => void, RegExp][] = [
    [(h) => void h.world.addresses.splice(1, 1), /no interface of this host has 192\.0\.2\.11/],
    [(h) => void Object.assign(h.facts, { interface: 'bond0' }), /no interface "bond0" yet/],
  ];
  for (const [change, words] of gone) {
    const host = createHost();
    change(host);
    const { refused } = desiredRealServer(wants(vip), factsOf(host), new Map());
    t.match(refused.get(vip), words);
    t.notOk(reconcile(host, wants(vip)).some((step) => step.op === 'add-address'));
    const held = createHost();
    reconcile(held, wants(vip));
    change(held);
    t.notOk(reconcile(held, wants(vip)).some((step) => step.op === 'delete-address'));
    t.notOk(answersArp(held.world), 'and the suppression stays');
  }
});

t.test('the interface is the configured one, or the one that carries the real server’s own address', async (t) => {
  const host = createHost();
  host.world.addresses.push(addressOn('lo', '10.0.0.1', 32));
  t.equal(interfaceOf(own, factsOf(host)), 'eth0');
  t.equal(interfaceOf('10.0.0.1', factsOf(host)), undefined);
  t.equal(interfaceOf(own, { ...factsOf(host), interface: 'bond0' }), 'bond0');
  host.world.links.push(linkOf('bond0'));
  t.strictSame(suppressionKeys('bond0.7').slice(2), [
    'net.ipv4.conf.bond0/7.arp_ignore',
    'net.ipv4.conf.bond0/7.arp_announce',
  ]);
  t.strictSame(suppressionKeys(undefined), ['net.ipv4.conf.all.arp_ignore', 'net.ipv4.conf.all.arp_announce']);
});

t.test(
  'only addresses that probers have of themselves get a route, none that this host needs for something else',
  async (t) => {
    const host = createHost({ reserved: new Map([['169.254.7.7', 'DNS server']]) });
    const evil = [
      '9.9.9.9',
      '192.0.2.254',
      '198.51.100.1',
      '169.254.169.254',
      '169.254.7.7',
      '2001:db8:5::1',
      'fe80::1',
    ];
    const { desired } = desiredRealServer(
      { ...wants(vip, vip6), probers: [...evil, ...probers] },
      factsOf(host),
      new Map(),
    );
    t.strictSame([...desired.routes.keys()], ['169.254.1.9 dev eth0', 'fd00::9 dev eth0']);
  },
);

t.test(
  'a host answers the prober by its own interface, and has a route for that where no network has one',
  async (t) => {
    const host = createHost();
    const linesFor = (...routes: HostRoute[]) => {
      const { desired } = desiredRealServer(wants(vip, vip6), { ...factsOf(host), routes }, new Map());
      return [...desired.routes.keys()];
    };
    const route = (destination: string, prefix: number, more: Partial<HostRoute> = {}): HostRoute => ({
      destination,
      prefix,
      interface: 'eth0',
      gateway: false,
      ...more,
    });
    const [v4, v6] = ['169.254.1.9 dev eth0', 'fd00::9 dev eth0'];
    t.strictSame(linesFor(), [v4, v6]);
    t.strictSame(linesFor(route('169.254.0.0', 16)), [v6], 'it is on a network of the interface');
    t.strictSame(linesFor(route('fd00::', 8)), [v4]);
    for (const other of [
      route('169.254.0.0', 16, { interface: 'eth1' }),
      route('169.254.0.0', 16, { gateway: true }),
      route('0.0.0.0', 0),
      route('169.254.1.9', 32),
      route('10.0.0.0', 8),
    ])
      t.strictSame(linesFor(other), [v4, v6], `${other.destination}/${other.prefix} is no way for all of them`);
    t.strictSame([...desiredRealServer(wants(), factsOf(host), new Map()).desired.routes], [], 'no VIP, no probe');
    const sixOnly = { ...wants(vip), probers: ['fd00::9'] };
    t.strictSame([...desiredRealServer(sixOnly, factsOf(host), new Map()).desired.routes], [], 'of the VIP’s family');
  },
);

t.test('a route to the prober that was there before is left there', async (t) => {
  const host = createHost();
  host.world.routes.push({ address: '169.254.1.9', interface: 'eth0' });
  const before = snapshot(host.world);
  t.notOk(reconcile(host, wants(vip)).some(({ op }) => op === 'add-route'));
  reconcile(host, wants());
  t.equal(snapshot(host.world), before);
});

t.test('of each port it is told what listens: for the VIP, for the own address only, or nothing', async (t) => {
  const host = createHost();
  const ports = ['80/tcp', '443/tcp', '25/tcp', '53/udp', '69/udp'];
  const wanted = { ...wants(), vips: [{ vip, address: own, ports }] };
  const bound: Record<string, [number, 'address' | 'wildcard'][]> = {
    [`${vip} tcp`]: [[80, 'wildcard']],
    [`${own} tcp`]: [
      [80, 'wildcard'],
      [443, 'address'],
    ],
    [`${vip} udp`]: [
      [53, 'wildcard'],
      [69, 'address'],
    ],
  };
  const listeners: Listeners = (address, protocol) => new Map(bound[`${address} ${protocol}`]);
  const said = vipReports(wanted, factsOf(host), new Map(), new Map(), listeners)[vip];
  t.strictSame(said?.listening, {
    '80/tcp': 'vip',
    '443/tcp': 'own-address-only',
    '25/tcp': 'nothing',
    '53/udp': 'vip',
    '69/udp': 'vip',
  });
  t.match(said?.warnings, [/^the server on 53\/udp listens on all addresses: .* let it listen on 192\.0\.2\.100 too$/]);
  t.equal(said?.warnings?.length, 1, 'a UDP server on the VIP itself answers from it, and TCP always does');
});

t.test('a strict reverse path filter with the default route elsewhere is told, with what mends it', async (t) => {
  const host = createHost();
  const byEth1: HostRoute = { destination: '0.0.0.0', prefix: 0, interface: 'eth1', gateway: true };
  const said = (all: string | undefined, eth0: string | undefined, routes: HostRoute[], wanted = wants(vip)) => {
    const sysctls = new Map([
      ['net.ipv4.conf.all.rp_filter', all],
      ['net.ipv4.conf.eth0.rp_filter', eth0],
    ]);
    const reports = vipReports(wanted, { ...factsOf(host), routes }, sysctls, new Map(), nobody);
    return Object.values(reports)[0]?.unreachable;
  };
  t.equal(
    said('1', '0', [byEth1]),
    "its default route is by eth1, and rp_filter=1 drops clients' packets that come in by eth0: sysctl -w net.ipv4.conf.all.rp_filter=2; sysctl -w net.ipv4.conf.eth0.rp_filter=2",
  );
  t.match(said('0', '1', [byEth1]), /rp_filter=1/);
  t.equal(said('1', '2', [byEth1]), undefined, 'the larger of the two counts: loose');
  t.equal(said('0', '0', [byEth1]), undefined);
  t.equal(said(undefined, undefined, [byEth1]), undefined, 'a kernel without it');
  t.equal(said('1', '1', [byEth1, { ...byEth1, interface: 'eth0' }]), undefined, 'the way back is the way in');
  t.equal(said('1', '1', []), undefined, 'without a default route nobody beyond the network is answered anyhow');
  t.equal(said('1', '1', [{ ...byEth1, destination: '::' }]), undefined, 'the default route of IPv6 is another matter');
  t.equal(said('1', '1', [byEth1], wants(vip6)), undefined, 'and so is IPv6');
  t.equal(said('1', '1', [byEth1], { ...wants(), vips: [{ vip, address: '192.0.2.77', ports: [] }] }), undefined);
  t.strictSame(reversePathKeys('bond0.7'), ['net.ipv4.conf.all.rp_filter', 'net.ipv4.conf.bond0/7.rp_filter']);
  t.strictSame(reversePathKeys(undefined), ['net.ipv4.conf.all.rp_filter']);
});
