import t, { type Test } from 'tap';
import { type ServiceConfig, serviceKey } from '../../src/core/kernel-state.ts';
import { startTraffic } from '../../src/director/traffic.ts';
import { KernelError } from '../../src/kernel/errors.ts';
import { until } from '../../src/loop.ts';
import { createFakeKernel } from '../fake-kernel.ts';

const id = { vip: '192.0.2.100', port: 80, protocol: 'tcp' } as const;
const key = serviceKey(id);
const config = { scheduler: 'wlc' } as ServiceConfig;

function start(t: Test, speedMbit?: number) {
  const kernel = createFakeKernel();
  const clock = { now: 10_000 };
  const warned: string[] = [];
  const service = { id, config, traffic: { connections: 0, packetsIn: 0, bytesIn: 0 } };
  kernel.serviceConfigs = async () => new Map([[key, structuredClone(service)]]);
  const log = { warn: (_: object, message: string) => warned.push(message) };
  const book = startTraffic({ kernel, interface: 'eth0', speedMbit, log }, () => clock.now);
  t.teardown(book.stop);
  return { kernel, clock, warned, service, book };
}

const card = (at: number, more: object = {}) => ({
  interface: 'eth0',
  mac: '02:00:00:00:00:11',
  speedMbit: 100,
  rxBytes: 0,
  txBytes: 0,
  rxPackets: 0,
  txPackets: 0,
  rxLost: 0,
  txLost: 0,
  at,
  ...more,
});

t.test('the director’s card and services are looked at each second, and agents speak for their cards', async (t) => {
  const { kernel, clock, service, book } = start(t, 100);
  await book.looked.next(5000);
  book.take('rs1', { card: card(500), connections: { '192.0.2.100': { '80/tcp': 3 } } });
  t.strictSame(book.facts().view.realServers, {}, 'one look is no rate');
  clock.now += 1000;
  kernel.world.traffic.set('eth0', { txBytes: 125_000, rxBytes: 250_000 });
  service.traffic = { connections: 7, packetsIn: 70, bytesIn: 125_000 };
  book.take('rs1', { card: card(1500, { txBytes: 12_375_000 }) });
  await book.looked.next(5000);
  const { view, services } = book.facts();
  t.match(view, {
    director: { txMbit: 1, rxMbit: 2, speedMbit: 100, loadPercent: 2, fuller: 'rx' },
    realServers: { rs1: { txMbit: 99, loadPercent: 99 } },
    // What the kernel counted at once came in one of its steps of two seconds.
    requests: { connectionsPerSecond: 4, requestsMbit: 0.5 },
    directorSharePercent: 1,
    bottleneck: { host: 'rs1', full: true },
  });
  t.match(services.get(key), { packetsPerSecond: 35 });
  t.match(book.counters().services.get(key), { id, traffic: { connections: 7 } });
  t.match(book.counters().realServers.get('rs1'), { txBytes: 12_375_000 });
  t.match(book.counters().director, { txBytes: 125_000 });
});

t.test('of an agent that falls silent there are no figures, and after a minute nothing is kept', async (t) => {
  const { clock, book } = start(t);
  book.take('rs1', { card: card(0) });
  book.take('rs1', { card: card(1000, { txBytes: 1000 }) });
  t.ok(book.facts().view.realServers.rs1);
  clock.now += 4000;
  t.strictSame(book.facts().view.realServers, {});
  t.match(book.facts().cards.get('rs1'), { ageMs: 4000 });
  clock.now += 60_000;
  await until(book.looked, () => book.facts().cards.size === 0 || undefined, 5000);
  t.equal(book.facts().cards.size, 0);
});

t.test('a clock that is far off says nothing of how late a report is', async (t) => {
  const { book } = start(t);
  const lateness = (clock: number) => {
    book.take('rs1', { card: card(0), clock });
    book.take('rs1', { card: card(1000, { txBytes: 1000 }), clock });
    return book.cards().cards.get('rs1')?.ageMs ?? Number.NaN;
  };
  t.ok(lateness(Date.now() - 2000) >= 2000);
  for (const off of [-60_000, -4000, 5000]) t.equal(lateness(Date.now() + off), 0, `${off} ms`);
});

t.test('an agent that reports no card has none', async (t) => {
  const { book } = start(t);
  book.take('rs1', { card: card(0) });
  book.take('rs1', {});
  t.equal(book.counters().realServers.size, 0);
});

t.test('a kernel that cannot be read is told once and leaves no figures; it is tried again', async (t) => {
  const { kernel, clock, warned, book } = start(t);
  await book.looked.next(5000);
  const { card: readCard } = kernel;
  let tries = 0;
  kernel.card = (name) => {
    if (++tries <= 2) throw new KernelError('EPERM', 'no');
    return readCard(name);
  };
  clock.now += 1000;
  t.ok(await book.looked.next(10_000));
  t.equal(tries, 3);
  t.strictSame(warned, ['the traffic of this host cannot be read']);
  t.equal(book.facts().view.director, null);
});
