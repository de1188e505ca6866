import fc from 'fast-check';
import t from 'tap';
import { ipvsSysctls } from '../../src/core/ipvs-sysctls.ts';
import { nextLedger, nothingDesired } from '../../src/core/ledger.ts';
import { emptyLedger } from '../../src/core/state.ts';
import { poolsSchema } from '../../src/schema.ts';
import { worldArb } from '../arbitraries.ts';
import { addressOn, applySteps, createWorld } from '../fake-kernel.ts';
import { holds } from '../property.ts';
import { historyArb, live } from './history.ts';
import { boot, createSite, desiredOf, factsOf, look, prepare, put, reconcile, teardown } from './site.ts';

holds(
  t,
  'noting what is noted already is nothing new: the same ledger comes back',
  fc.property(worldArb, historyArb, (world, history) => {
    const site = createSite({ world });
    live(site, history);
    const { desired, actual } = prepare(site);
    const { ledger } = site.state;
    return nextLedger(ledger, desired, actual, boot) === ledger;
  }),
);

holds(
  t,
  'all that a plan will make or change is in the ledger before it is applied',
  fc.property(worldArb, historyArb, (world, history) => {
    const site = createSite({ world });
    live(site, history);
    const { steps } = prepare(site);
    const { services, addresses, sysctls } = site.state.ledger;
    const keys = new Set([...Object.keys(services), ...Object.keys(sysctls), ...Object.keys(addresses)]);
    return steps.every((step) => {
      if ('service' in step) return keys.has(keyOf(step.service));
      return keys.has(step.op === 'set-sysctl' ? step.key : step.address);
    });
  }),
);
const keyOf = ({ vip, port, protocol }: { vip: string; port: number; protocol: string }) =>
  `${vip.includes(':') ? `[${vip}]` : vip}:${port}/${protocol}`;

holds(
  t,
  'a thing that is in the ledger stays as it was noted, until the kernel is rid of it or has it back as it was',
  fc.property(worldArb, historyArb, (world, history) => {
    const site = createSite({ world });
    let before = site.state.ledger;
    let fine = true;
    live(site, history, ({ state: { ledger } }) => {
      for (const [key, entry] of Object.entries(before.services))
        if (ledger.services[key] && site.world.services.has(key))
          fine &&= JSON.stringify(ledger.services[key]) === JSON.stringify(entry);
      for (const [key, value] of Object.entries(before.sysctls))
        fine &&= (ledger.sysctls[key] ?? site.world.sysctls.get(key)) === value;
      before = ledger;
    });
    return fine;
  }),
);

const pools = (more: object = {}) =>
  poolsSchema.parse({
    web: {
      vip: '2001:db8::100',
      ports: { '80/tcp': { policy: 'real-servers' }, '8080/tcp': { policy: 'director' } },
      realServers: { rs1: { address: '2001:db8::11' } },
      ...more,
    },
  });
const ndisc = 'net.ipv6.conf.eth0.ndisc_notify';
/** The sysctls of IPVS as this host had them. */
const ofIpvs = Object.fromEntries(ipvsSysctls.map(({ key }) => [key, '0']));

t.test(
  'what the kernel lacks is made, what it has is adopted as it is, and a sysctl keeps the value it had',
  async (t) => {
    const made = createSite();
    put(made, pools());
    prepare(made);
    t.strictSame(made.state.ledger, {
      boot,
      services: { '[2001:db8::100]:80/tcp': { origin: 'made' } },
      addresses: { '2001:db8::100': { origin: 'made', prefix: 128, interface: 'eth0' } },
      sysctls: { [ndisc]: '0', ...ofIpvs },
      routes: {},
    });

    const world = createWorld();
    world.addresses.push(addressOn('eth1', '2001:db8::100', 64));
    world.sysctls.set(ndisc, '1');
    const service = { vip: '2001:db8::100', port: 80, protocol: 'tcp' } as const;
    const php = { ...service, port: 8080 };
    const config = {
      scheduler: 'rr',
      schedulerBits: [],
      persistenceSeconds: 0,
      persistencePrefix: 128,
      onePacket: false,
    };
    const destination = {
      address: '2001:db8::12',
      port: 80,
      method: 'tunneling' as const,
      weight: 3,
      upperThreshold: 0,
      lowerThreshold: 0,
    };
    applySteps(world, [
      { op: 'add-service', service, config },
      { op: 'add-destination', service, destination },
      { op: 'add-service', service: php, config },
    ]);
    const adopted = createSite({ world });
    put(adopted, pools());
    prepare(adopted);
    t.strictSame(adopted.state.ledger, {
      boot,
      services: {
        '[2001:db8::100]:80/tcp': { origin: 'adopted', before: { id: service, config, destinations: [destination] } },
        '[2001:db8::100]:8080/tcp': { origin: 'adopted', before: { id: php, config, destinations: [] } },
      },
      addresses: { '2001:db8::100': { origin: 'adopted', prefix: 64, interface: 'eth1' } },
      sysctls: { [ndisc]: '1', ...ofIpvs },
      routes: {},
    });
    reconcile(adopted);
    t.notOk(adopted.world.services.has('[2001:db8::100]:8080/tcp'), 'the port stays with the director’s own programs');
    teardown(adopted);
    t.ok(adopted.world.services.has('[2001:db8::100]:8080/tcp'), 'and what was there before is put back');
  },
);

t.test('a tombstone stays until the kernel is rid of the thing', async (t) => {
  const site = createSite();
  put(site, pools());
  reconcile(site);
  put(site, {});
  const { ledger } = site.state;
  reconcile(site, { cutAfter: 0 });
  const { 'net.ipv4.vs.sloppy_tcp': _, ...changed } = ledger.sysctls;
  t.strictSame(site.state.ledger, { ...ledger, sysctls: changed }, 'nothing was deleted yet');
  reconcile(site);
  prepare(site);
  t.strictSame(site.state.ledger, emptyLedger(boot));
});

t.test('an address that stays because a pool still has the VIP stays ours, though it is not managed now', async (t) => {
  const site = createSite();
  put(site, pools());
  reconcile(site);
  site.manageVip = false;
  reconcile(site);
  t.ok(site.world.addresses.some((a) => a.address === '2001:db8::100'));
  t.match(site.state.ledger.addresses, { '2001:db8::100': { origin: 'made' } });
  put(site, {});
  reconcile(site);
  t.strictSame(site.world.addresses.length, 2);
});

t.test('after a reboot everything is judged anew', async (t) => {
  const site = createSite();
  put(site, pools());
  reconcile(site);
  const desired = desiredOf(factsOf(site));
  const ledger = nextLedger(site.state.ledger, desired, look(createWorld()), 'boot-2');
  t.match(ledger, { boot: 'boot-2', addresses: { '2001:db8::100': { origin: 'made' } } });
  t.strictSame(nextLedger(site.state.ledger, nothingDesired(), look(site.world), 'boot-2'), emptyLedger('boot-2'));
});

t.test('a sysctl that went with its interface is forgotten; one that this kernel lacks is never noted', async (t) => {
  const site = createSite();
  put(site, pools());
  reconcile(site);
  t.ok(Object.hasOwn(site.state.ledger.sysctls, ndisc));
  site.world.sysctls.delete(ndisc);
  put(site, {});
  prepare(site);
  t.notOk(Object.hasOwn(site.state.ledger.sysctls, ndisc));
  put(site, pools());
  prepare(site);
  t.notOk(Object.hasOwn(site.state.ledger.sysctls, ndisc));
});
