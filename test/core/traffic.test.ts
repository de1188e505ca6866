import fc from 'fast-check';
import t from 'tap';
import type { Traffic } from '../../src/core/kernel-state.ts';
import {
  type CardRate,
  cardRate,
  cardRestarted,
  freshMs,
  lostShareOf,
  type MeteredCard,
  type Sample,
  serviceRate,
  serviceRestarted,
  trafficView,
  withSample,
} from '../../src/core/traffic.ts';
import { holds } from '../property.ts';

const card = (more: Partial<MeteredCard> = {}): MeteredCard => ({
  interface: 'eth0',
  mac: '02:00:00:00:00:01',
  speedMbit: 100,
  rxBytes: 0,
  txBytes: 0,
  rxPackets: 0,
  txPackets: 0,
  rxLost: 0,
  txLost: 0,
  ...more,
});
const at = (ms: number, more: Partial<MeteredCard> = {}): Sample<MeteredCard> => ({ at: ms, counters: card(more) });
const rate = (more: Partial<CardRate> = {}): CardRate => ({
  interface: 'eth0',
  speedMbit: 100,
  rxMbit: 0,
  txMbit: 0,
  rxPacketsPerSecond: 0,
  txPacketsPerSecond: 0,
  lostPerSecond: 0,
  loadPercent: 0,
  fuller: 'tx',
  ageMs: 0,
  ...more,
});

t.test('what is lost on the way in says nothing of how full a card is on the way out', async (t) => {
  const before = at(1000, { rxLost: 100, txLost: 1, txPackets: 500 });
  t.equal(lostShareOf([before, at(2000, { rxLost: 900, txLost: 1, txPackets: 600 })]), 0);
  t.equal(lostShareOf([before, at(2000, { rxLost: 100, txLost: 26, txPackets: 575 })]), 0.25);
  t.equal(lostShareOf([before, at(2000, { rxLost: 100, txLost: 1, txPackets: 500 })]), 0);
  t.equal(lostShareOf([before]), 0);
});

t.test('a rate is what came between two looks, against the speed of the fuller direction', async (t) => {
  const samples = [
    at(1000),
    at(2000, { rxBytes: 125_000, txBytes: 11_250_000, rxPackets: 10, txPackets: 20, txLost: 3 }),
  ];
  t.strictSame(cardRate(samples, 12.4), {
    interface: 'eth0',
    speedMbit: 100,
    rxMbit: 1,
    txMbit: 90,
    rxPacketsPerSecond: 10,
    txPacketsPerSecond: 20,
    lostPerSecond: 3,
    loadPercent: 90,
    fuller: 'tx',
    ageMs: 12,
  });
  t.match(cardRate([at(0), at(1000, { rxBytes: 5_000_000, txBytes: 1 })], 0), { fuller: 'rx', loadPercent: 40 });
  t.match(cardRate([at(0), at(1000, { speedMbit: null })], 0), { loadPercent: null, speedMbit: null });
});

t.test('there is no rate until two looks lie far enough apart', async (t) => {
  t.equal(cardRate([], 0), undefined);
  t.equal(cardRate([at(1000)], 0), undefined);
  t.equal(cardRate([at(1000), at(1200, { txBytes: 1e9 })], 0), undefined);
  t.equal(serviceRate([{ at: 0, counters: { connections: 1, packetsIn: 1, bytesIn: 1 } }]), undefined);
});

t.test('counters that begin anew are no negative rate', async (t) => {
  const before = [at(1000, { txBytes: 1e9 }), at(2000, { txBytes: 2e9 })];
  const after = withSample(before, at(3000, { txBytes: 5 }), cardRestarted);
  t.strictSame(after, [at(3000, { txBytes: 5 })]);
  t.ok(cardRestarted(card(), card({ interface: 'eth1' })), 'another card');
  t.ok(cardRestarted(card({ rxBytes: 2 }), card()));
  const none = { connections: 0, packetsIn: 0, bytesIn: 0 };
  t.ok(serviceRestarted({ ...none, bytesIn: 5 }, none));
  t.ok(serviceRestarted({ ...none, connections: 5 }, none));
  t.notOk(serviceRestarted(none, none));
  t.strictSame(withSample(before, at(500), cardRestarted), [at(500)], 'a clock that begins anew: the host rebooted');
  t.strictSame(withSample(before, at(2000, { txBytes: 2e9 }), cardRestarted), before, 'the same look twice');
});

t.test('the rate of a service counts requests only', async (t) => {
  const sample = (at: number, n: number) => ({
    at,
    counters: { connections: n, packetsIn: 10 * n, bytesIn: 1000 * n },
  });
  t.strictSame(serviceRate([sample(0, 0), sample(2000, 1000)]), {
    connectionsPerSecond: 500,
    packetsPerSecond: 5000,
    requestsMbit: 4,
  });
});

const perSecond = (n: number): Sample<Traffic>['counters'] => ({
  connections: n,
  packetsIn: 10 * n,
  bytesIn: 1000 * n,
});

holds(
  t,
  'the kernel counts services in steps of two seconds: looks each second see the rate, not now nothing and now twice of it',
  fc.property(
    fc.integer({ min: 100, max: 900 }),
    fc.integer({ min: 1, max: 1000 }),
    fc.array(fc.integer({ min: -40, max: 40 }), { minLength: 6, maxLength: 30 }),
    fc.nat(3000),
    (phase, rate, jitters, idle) => {
      const counted = (now: number) => perSecond(rate * 2 * Math.max(0, Math.floor((now - phase) / 2000)));
      let samples: Sample<Traffic>[] = [];
      let now = 0;
      for (const [i, jitter] of jitters.entries()) {
        now = 1000 * i + 50 + jitter;
        samples = withSample(samples, { at: now, counters: counted(now) }, serviceRestarted);
        if (i >= 5 && serviceRate(samples)?.connectionsPerSecond !== rate) return false;
      }
      // Then nothing comes any more.
      const last = counted(now);
      for (let i = 1; i <= 4; i++)
        samples = withSample(samples, { at: now + 1000 * i + idle / 100, counters: last }, serviceRestarted);
      return serviceRate(samples)?.requestsMbit === 0;
    },
  ),
);

t.test('where the kernel counts at once, a rate is over two looks', async (t) => {
  const samples = [0, 1000, 2000, 3000].map((at) => ({ at, counters: perSecond(at) }));
  t.equal(serviceRate(samples)?.connectionsPerSecond, 1000);
  t.equal(serviceRate(samples.slice(0, 1)), undefined);
  t.equal(serviceRate([0, 1000].map((at) => ({ at, counters: perSecond(7) })))?.connectionsPerSecond, 0);
  const slow = [0, 10_000].map((at) => ({ at, counters: perSecond(at) }));
  t.equal(serviceRate(slow)?.connectionsPerSecond, 1000, 'looks that are rare');
});

t.test('the view has both halves, the director’s share of what leaves, and the fullest card', async (t) => {
  const cards = new Map([
    ['rs1', rate({ txMbit: 90, loadPercent: 90 })],
    ['rs2', rate({ txMbit: 9, loadPercent: 9 })],
    ['rs3', rate({ txMbit: 50, loadPercent: 50, ageMs: freshMs + 1 })],
  ]);
  const requests = { connectionsPerSecond: 5, packetsPerSecond: 7, requestsMbit: 0.5 };
  const view = trafficView(rate({ txMbit: 1, loadPercent: 1 }), cards, [requests, requests]);
  t.strictSame(Object.keys(view.realServers), ['rs1', 'rs2'], 'who is silent has no figures');
  t.match(view, {
    repliesMbit: 99,
    directorSharePercent: 1,
    requests: { connectionsPerSecond: 10, packetsPerSecond: 14, requestsMbit: 1 },
    bottleneck: { host: 'rs1', direction: 'tx', loadPercent: 90, full: true },
  });
  t.match(trafficView(rate({ loadPercent: 40, fuller: 'rx' }), new Map(), []).bottleneck, {
    host: 'director',
    direction: 'rx',
    full: false,
  });
});

t.test('without figures there is no share and no bottleneck, rather than a wrong one', async (t) => {
  t.strictSame(trafficView(undefined, new Map(), []), {
    director: null,
    realServers: {},
    requests: null,
    repliesMbit: 0,
    directorSharePercent: null,
    bottleneck: null,
  });
  t.equal(trafficView(rate(), new Map(), []).directorSharePercent, null, 'nothing leaves');
  t.equal(trafficView(rate({ loadPercent: null }), new Map(), []).bottleneck, null, 'speeds are not known');
});

const stepsArb = fc.array(fc.record({ ms: fc.integer({ min: 1, max: 5000 }), tx: fc.nat(1e8), rx: fc.nat(1e8) }), {
  minLength: 2,
  maxLength: 30,
});

holds(
  t,
  'however irregular the looks are, a rate lies between the slowest and the fastest of late, and few samples are kept',
  fc.property(stepsArb, (steps) => {
    let samples: Sample<MeteredCard>[] = [at(0)];
    let [now, rxBytes, txBytes] = [0, 0, 0];
    const speeds: { end: number; mbit: number }[] = [];
    for (const { ms, tx, rx } of steps) {
      now += ms;
      rxBytes += rx;
      txBytes += tx;
      speeds.push({ end: now, mbit: (tx * 8) / 1e3 / ms });
      samples = withSample(samples, at(now, { rxBytes, txBytes }), cardRestarted);
      const found = cardRate(samples, 0);
      if (!found) {
        if (ms >= 900) return false;
        continue;
      }
      const all = speeds.map(({ mbit }) => mbit);
      if (found.txMbit < Math.min(...all) - 0.01 || found.txMbit > Math.max(...all) + 0.01) return false;
      if (samples.some(({ at }) => now - at > 10_000)) return false;
    }
    return true;
  }),
);
