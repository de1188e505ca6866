import fc from 'fast-check';
import t from 'tap';
import { nextLedger, nothingDesired } from '../../src/core/ledger.ts';
import { plan } from '../../src/core/plan.ts';
import {
  desiredRealServer,
  type HostFacts,
  interfaceOf,
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
    facts: { interface: undefined, allowedVips: undefined, reserved: new Map([['192.0.2.254', 'gateway']]), ...more },
  };
};

const factsOf = ({ world, facts }: Host): HostFacts => ({ ...facts, addresses: world.addresses, links: world.links });
const wants = (...vips: string[]): AgentDesired => ({
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
    const reports = vipReports(wanted, factsOf(host), sysctls, refused);
    return wanted.vips.every(({ vip: v }) => {
      const said = reports[v];
      return refused.has(v) ? said?.problem === refused.get(v) && !said?.present : said?.present && said.suppressed;
    });
  }),
);

holds(
  t,
  'teardown leaves addresses and sysctls exactly as they were, whatever was wanted and however often it was cut',
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
    'ip addr add 192.0.2.100/32 dev lo',
  ]);
  t.strictSame(reconcile(host, wants()).map(commandOf), [
    'ip addr del 192.0.2.100/32 dev lo',
    'sysctl -w net.ipv4.conf.all.arp_ignore=0',
    'sysctl -w net.ipv4.conf.all.arp_announce=0',
    'sysctl -w net.ipv4.conf.eth0.arp_ignore=0',
    'sysctl -w net.ipv4.conf.eth0.arp_announce=0',
  ]);
});

t.test('an IPv6 VIP on lo needs no suppression: nobody answers for it on another interface', async (t) => {
  const host = createHost();
  t.strictSame(reconcile(host, wants(vip6)).map(commandOf), [
    'ip -6 addr add 2001:db8::100/128 dev lo nodad preferred_lft 0',
  ]);
});

t.test('arp_ignore 2 is stricter than 1, and left as it is', async (t) => {
  const host = createHost();
  host.world.sysctls.set('net.ipv4.conf.all.arp_ignore', '2');
  t.notOk(
    reconcile(host, wants(vip))
      .map(commandOf)
      .some((line) => line.includes('all.arp_ignore')),
  );
  const { sysctls } = look(host.world);
  t.match(vipReports(wants(vip), factsOf(host), sysctls, new Map()), { [vip]: { present: true, suppressed: true } });
});

t.test('what is reported is what the kernel has, not what was meant to be done', async (t) => {
  const host = createHost();
  const said = () =>
    vipReports(wants(vip), factsOf(host), look(host.world).sysctls, new Map([[vip, 'x'.repeat(999)]]))[vip];
  t.strictSame(said(), { present: false, suppressed: false, problem: 'x'.repeat(500) });
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
    t.equal(desired.addresses.size + desired.vips.size + desired.sysctls.size, 0);
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
