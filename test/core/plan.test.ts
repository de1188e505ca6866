import { isDeepStrictEqual } from 'node:util';
import fc from 'fast-check';
import t from 'tap';
import { nextLedger, nothingDesired } from '../../src/core/ledger.ts';
import type { Actual } from '../../src/core/plan.ts';
import { matches, plan } from '../../src/core/plan.ts';
import { emptyLedger } from '../../src/core/state.ts';
import { commandOf, type Step } from '../../src/core/steps.ts';
import { worldArb } from '../arbitraries.ts';
import { applyStep, snapshot, type World } from '../fake-kernel.ts';
import { holds } from '../property.ts';
import { historyArb, keysOf, live } from './history.ts';
import { boot, createSite, look, prepare, put, reconcile, type Site, teardown } from './site.ts';

holds(
  t,
  'a plan that was applied leaves nothing to do, and the kernel as desired',
  fc.property(worldArb, historyArb, (world, history) => {
    const site = createSite({ world });
    live(site, history);
    const { failures } = reconcile(site);
    const { desired, actual, steps } = prepare(site);
    const reached = [...desired.services].every(([key, want]) => matches(want, actual.services.get(key)!));
    const local = [...desired.localPorts.keys()].some((key) => actual.services.has(key));
    return failures.length === 0 && steps.length === 0 && reached && !local;
  }),
);

holds(
  t,
  'a pass that is cut at any step is finished by the next, as if it had never been cut',
  fc.property(worldArb, historyArb, fc.nat(30), (world, history, cutAfter) => {
    const [whole, cut] = [createSite({ world }), createSite({ world })];
    live(whole, history);
    live(cut, history);
    reconcile(whole);
    reconcile(cut, { cutAfter });
    reconcile(cut);
    return prepare(cut).steps.length === 0 && snapshot(cut.world) === snapshot(whole.world);
  }),
);

const stray = {
  port: 80,
  method: 'gatewaying' as const,
  weight: 1,
  upperThreshold: 0,
  lowerThreshold: 0,
  connections: { active: 0, inactive: 0, persistent: 0 },
};

holds(
  t,
  'whatever somebody else does to what is ours is put right in one pass',
  fc.property(worldArb, historyArb, fc.infiniteStream(fc.nat(5)), (world, history, choices) => {
    const site = createSite({ world });
    live(site, history);
    reconcile(site);
    const before = snapshot(site.world);
    const ours = new Set(keysOf(history.at(-1)!.pools));
    for (const [key, service] of site.world.services) {
      const choice = ours.has(key) ? choices.next().value : undefined;
      if (choice === 0) site.world.services.delete(key);
      if (choice === 1) service.destinations.pop();
      if (choice === 2) service.config.scheduler = 'sed';
      // One that was found with another method, and drains, is put right with ours.
      for (const destination of service.destinations)
        if (choice === 3 && destination.method === 'gatewaying') destination.weight += 1;
      if (choice === 4) service.destinations.push({ ...stray, address: service.id.vip.replace(/100|101/, '77') });
    }
    for (const address of Object.keys(site.state.ledger.addresses))
      if (site.state.ledger.addresses[address]?.origin === 'made' && choices.next().value === 0)
        site.world.addresses = site.world.addresses.filter((a) => a.address !== address);
    for (const key of Object.keys(site.state.ledger.sysctls))
      if (prepare(site).desired.sysctls.has(key)) site.world.sysctls.set(key, '7');
    reconcile(site);
    return snapshot(site.world) === before;
  }),
);

holds(
  t,
  'what is neither in the pools nor in the ledger stays byte for byte, counters included',
  fc.property(worldArb, historyArb, (world, history) => {
    const site = createSite({ world });
    const documents = history.map(({ pools }) => pools);
    const ours = new Set(documents.flatMap(keysOf));
    const vips = new Set(documents.flatMap((pools) => Object.values(pools).map(({ vip }) => vip)));
    const known = new Set(world.addresses.map(addressWords));
    const foreign = ({ services, addresses, marks, sysctls }: World) =>
      JSON.stringify([
        [...services].filter(([key]) => !ours.has(key)),
        addresses.filter((a) => !vips.has(a.address) || known.has(addressWords(a))),
        marks,
        [...sysctls].filter(([key]) => key !== 'net.ipv6.conf.eth0.ndisc_notify'),
      ]);
    live(site, history);
    reconcile(site);
    put(site, {});
    reconcile(site);
    reconcile(site);
    return foreign(site.world) === foreign(world);
  }),
);
const addressWords = (a: World['addresses'][number]) => `${a.address}/${a.prefix} ${a.interface}`;

holds(
  t,
  'teardown puts the kernel back exactly as it was before the first pass, also when it is cut and run again',
  fc.property(worldArb, historyArb, fc.nat(12), (world, history, cutAfter) => {
    const site = createSite({ world });
    live(site, history);
    teardown(site, { cutAfter });
    teardown(site);
    const { steps } = teardown(site);
    if (snapshot(site.world) !== snapshot(world))
      throw new Error(`was\n${snapshot(world)}\nis\n${snapshot(site.world)}`);
    const { services, addresses, sysctls } = nextLedger(site.state.ledger, nothingDesired(), look(site.world), boot);
    return steps.length === 0 && JSON.stringify([services, addresses, sysctls]) === '[{},{},{}]';
  }),
);

holds(
  t,
  'before the first round of reports no weight falls, nothing is deleted and no sysctl is put back',
  fc.property(worldArb, historyArb, (world, history) => {
    const site = createSite({ world });
    live(site, history);
    const before = structuredClone(site.world);
    const { steps } = reconcile(site, { settled: false });
    const kept = [...before.services].every(([key, { destinations }]) =>
      destinations.every(({ address, port, weight }) => {
        const now = site.world.services.get(key)?.destinations.find((d) => d.address === address && d.port === port);
        return now !== undefined && now.weight >= weight;
      }),
    );
    const wanted = prepare(site, false).desired.sysctls;
    return (
      kept &&
      steps.every((step) => !step.op.startsWith('delete-')) &&
      steps.every((step) => step.op !== 'set-sysctl' || wanted.has(step.key))
    );
  }),
);

holds(
  t,
  'an unsettled pass changes nothing twice, and the settled one after it does the rest',
  fc.property(worldArb, historyArb, (world, history) => {
    const [early, late] = [createSite({ world }), createSite({ world })];
    live(early, history);
    live(late, history);
    reconcile(early, { settled: false });
    const again = prepare(early, false).steps;
    reconcile(early);
    reconcile(late);
    return again.length === 0 && snapshot(early.world) === snapshot(late.world);
  }),
);

/** Applies a pass step by step and shows each one with the kernel just before it and just after. */
function walk(site: Site, see: (step: Step, before: World, after: World) => boolean): boolean {
  return prepare(site).steps.every((step) => {
    const before = structuredClone(site.world);
    applyStep(site.world, step);
    return see(step, before, site.world);
  });
}

holds(
  t,
  'a VIP is taken when all its services and destinations are there, and given back when ours are gone',
  fc.property(worldArb, historyArb, (world, history) => {
    const site = createSite({ world });
    live(site, history);
    const { desired } = prepare(site);
    return walk(site, (step, before) => {
      if (step.op === 'add-address')
        return [...desired.services]
          .filter(([, { id }]) => id.vip === step.address)
          .every(([key, { destinations }]) => {
            const has = before.services.get(key)?.destinations.map((d) => `${d.address} ${d.port}`) ?? [];
            return destinations.every((d) => has.includes(`${d.address} ${d.port}`)) && before.services.has(key);
          });
      if (step.op === 'delete-address')
        return [...before.services].every(
          ([key, { id }]) => id.vip !== step.address || site.state.ledger.services[key]?.origin !== 'made',
        );
      return true;
    });
  }),
);

holds(
  t,
  'a destination has weight 0 before it is deleted, and a service its config before its destinations',
  fc.property(worldArb, historyArb, (world, history) => {
    const site = createSite({ world });
    live(site, history);
    const filled = new Set<string>();
    return walk(site, (step, before) => {
      if (step.op === 'delete-destination') {
        const of = [...before.services.values()].find((s) => JSON.stringify(s.id) === JSON.stringify(step.service));
        return of?.destinations.find((d) => d.address === step.address && d.port === step.port)?.weight === 0;
      }
      if (step.op === 'add-destination') filled.add(JSON.stringify(step.service));
      return step.op !== 'add-service' || !filled.has(JSON.stringify(step.service));
    });
  }),
);

holds(
  t,
  'within a service weights rise before others fall, so that somebody always takes new connections',
  fc.property(worldArb, historyArb, (world, history) => {
    const site = createSite({ world });
    live(site, history);
    const open = (w: World, key: string) => (w.services.get(key)?.destinations ?? []).some((d) => d.weight > 0);
    const start = structuredClone(site.world);
    const steady = [...start.services.keys()].filter((key) => open(start, key));
    const end = structuredClone(site.world);
    for (const step of prepare(site).steps) applyStep(end, step);
    return walk(site, (_, __, after) => steady.every((key) => !open(end, key) || open(after, key)));
  }),
);

holds(
  t,
  'the same inputs give the same plan, and planning changes none of them',
  fc.property(worldArb, historyArb, (world, history) => {
    const site = createSite({ world });
    live(site, history);
    const { desired, actual } = prepare(site);
    const { ledger } = site.state;
    const inputs = structuredClone([desired, actual, ledger] as const);
    const options = { role: 'director', settled: true } as const;
    const lines = (...of: typeof inputs) =>
      plan(...of, options)
        .map(commandOf)
        .join('\n');
    const text = lines(desired, actual, ledger);
    return isDeepStrictEqual([desired, actual, ledger], inputs) && text === lines(...inputs);
  }),
  100,
);

const nothing: Actual = { services: new Map(), addresses: [], sysctls: new Map(), routes: [] };
const vip = { address: '2001:db8::100', prefix: 128, interface: 'eth0' };
const desiredVip = () => ({ ...prepare(createSite()).desired, addresses: new Map([[vip.address, vip]]) });

t.test('an address that another host had when it was taken is taken anew', async (t) => {
  const actual = { ...nothing, addresses: [{ ...vip, dadFailed: true }] };
  const ledger = { ...emptyLedger(boot), addresses: { [vip.address]: { ...vip, origin: 'made' as const } } };
  const steps = plan(desiredVip(), actual, ledger, { role: 'director', settled: false });
  t.strictSame(steps.map(commandOf), [
    'ip -6 addr del 2001:db8::100/128 dev eth0',
    'ip -6 addr add 2001:db8::100/128 dev eth0 preferred_lft 0',
    'ndsend 2001:db8::100 eth0',
  ]);
});

t.test('an address that another host has is given back while it is in conflict, though pools want it', async (t) => {
  const desired = { ...desiredVip(), addresses: new Map(), vips: new Set([vip.address]) };
  const ledger = { ...emptyLedger(boot), addresses: { [vip.address]: { ...vip, origin: 'made' as const } } };
  const of = (dadFailed: boolean) =>
    plan(desired, { ...nothing, addresses: [{ ...vip, dadFailed }] }, ledger, { role: 'director', settled: true });
  t.strictSame(of(true).map(commandOf), ['ip -6 addr del 2001:db8::100/128 dev eth0']);
  t.strictSame(of(false), [], 'one that works is kept');
});

t.test('only the very address that was made is taken away, not the same one on another interface', async (t) => {
  const ledger = { ...emptyLedger(boot), addresses: { [vip.address]: { ...vip, origin: 'made' as const } } };
  const addresses = [vip, { ...vip, interface: 'eth1' }, { ...vip, prefix: 64 }];
  for (const order of [addresses, addresses.toReversed()]) {
    const desired = { ...desiredVip(), addresses: new Map() };
    const steps = plan(desired, { ...nothing, addresses: order }, ledger, { role: 'director', settled: true });
    t.strictSame(steps.map(commandOf), ['ip -6 addr del 2001:db8::100/128 dev eth0']);
    const theirs = { ...nothing, addresses: order.filter((a) => a !== vip) };
    t.strictSame(plan(desired, theirs, ledger, { role: 'director', settled: true }), []);
  }
});

t.test('a sysctl that this kernel does not have is not set, and not put back', async (t) => {
  const desired = { ...desiredVip(), addresses: new Map(), sysctls: new Map([['net.x', '1']]) };
  const ledger = { ...emptyLedger(boot), sysctls: { 'net.y': '0' } };
  t.strictSame(plan(desired, nothing, ledger, { role: 'director', settled: true }), []);
});

t.test('a real server takes an address without announcing it', async (t) => {
  const steps = plan(desiredVip(), nothing, emptyLedger(boot), { role: 'real-server', settled: true });
  t.strictSame(steps.map(commandOf), ['ip -6 addr add 2001:db8::100/128 dev eth0 nodad preferred_lft 0']);
});

t.test('a service is as wanted only when all of it is', async (t) => {
  const id = { vip: '192.0.2.100', port: 80, protocol: 'tcp' } as const;
  const config = {
    scheduler: 'wlc',
    schedulerBits: [],
    persistenceSeconds: 0,
    persistencePrefix: 32,
    onePacket: false,
  };
  const d = {
    address: '192.0.2.11',
    port: 80,
    method: 'gatewaying' as const,
    weight: 1,
    upperThreshold: 0,
    lowerThreshold: 0,
  };
  const connections = { active: 1, inactive: 2, persistent: 3 };
  const want = { id, config, destinations: [d] };
  const is = (more: object, destination: object = {}) => ({
    ...{ id, config: { ...config, ...more } },
    destinations: [{ ...d, ...destination, connections }],
  });
  t.ok(matches(want, is({})));
  t.ok(matches(want, is({ persistencePrefix: 24 })), 'the mask means nothing without persistence');
  t.ok(matches(want, is({}, { method: 'local' })), 'the kernel may call a destination on this host local');
  for (const more of [
    { scheduler: 'rr' },
    { schedulerBits: ['flag-1'] },
    { persistenceSeconds: 5 },
    { onePacket: true },
  ])
    t.notOk(matches(want, is(more)), JSON.stringify(more));
  for (const more of [
    { weight: 0 },
    { weight: 2 },
    { upperThreshold: 9 },
    { lowerThreshold: 9 },
    { method: 'masquerading' },
    { port: 81 },
    { address: '192.0.2.12' },
  ])
    t.notOk(matches(want, is({}, more)), JSON.stringify(more));
  const persistent = { ...want, config: { ...config, persistenceSeconds: 5 } };
  t.notOk(matches(persistent, is({ persistenceSeconds: 5, persistencePrefix: 24 })));
});
