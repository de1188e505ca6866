import fc from 'fast-check';
import t from 'tap';
import { carry, type Transfer } from '../../infra/simulation/card.ts';
import { bySecond, secondsToEven, unevenness } from '../../infra/simulation/evenness.ts';
import { randomOf } from '../../infra/simulation/random.ts';
import { askedMbit, type Scenario, scenarios, speedsOf, workloadOf } from '../../infra/simulation/scenarios.ts';
import { type SchedulerName, schedulerOf } from '../../infra/simulation/schedulers.ts';
import { simulate } from '../../infra/simulation/simulate.ts';
import { siteOf } from '../../infra/simulation/workload.ts';
import { holds } from '../property.ts';

const transferArb: fc.Arbitrary<Transfer> = fc.record({
  left: fc.integer({ min: 1, max: 100_000 }),
  clientBytes: fc.integer({ min: 1, max: 20_000 }),
});
holds(
  t,
  'a card sends all that fits, to nobody more than it takes, and to nobody less than to another that takes more',
  fc.property(fc.array(transferArb, { maxLength: 20 }), fc.integer({ min: 0, max: 200_000 }), (before, room) => {
    const list = before.map((of) => ({ ...of, was: of.left }));
    const all = [...list];
    const done: Transfer[] = [];
    const sent = carry(list, room, (of) => done.push(of));
    const got = all.map(({ was, left }) => was - left);
    const asked = all.map(({ was, clientBytes }) => Math.min(was, clientBytes));
    const sum = (of: readonly number[]) => of.reduce((a, b) => a + b, 0);
    const most = Math.max(0, ...got);
    return (
      Math.abs(sent - Math.min(room, sum(asked))) < 1 &&
      got.every((of, i) => of <= (asked[i] ?? 0) && (of >= (asked[i] ?? 0) - 1e-6 || of >= most - 1e-6)) &&
      done.length + list.length === all.length &&
      list.every(({ left }) => left > 0.5)
    );
  }),
  500,
);

/** How often each is chosen, while nothing ends. */
function chosen(name: SchedulerName, weights: readonly number[], count: number): number[] {
  const of = {
    weight: Int32Array.from(weights),
    active: new Int32Array(weights.length),
    inactive: new Int32Array(weights.length),
  };
  const scheduler = schedulerOf(name, of, randomOf(1));
  const counts = weights.map(() => 0);
  for (let n = 0; n < count; n++) {
    const i = scheduler.choose();
    counts[i] = (counts[i] ?? 0) + 1;
    of.active[i] = (of.active[i] ?? 0) + 1;
  }
  return counts;
}

t.test('schedulers give connections as the kernel does', async (t) => {
  t.strictSame(chosen('rr', [5, 1, 0], 10), [5, 5, 0]);
  t.strictSame(chosen('wrr', [3, 1, 0], 8), [6, 2, 0]);
  t.strictSame(chosen('lc', [3, 1, 0], 10), [5, 5, 0]);
  t.strictSame(chosen('wlc', [3, 1, 0], 8), [6, 2, 0]);
  t.strictSame(chosen('sed', [3, 1, 0], 8), [6, 2, 0]);
  t.strictSame(chosen('nq', [100, 1, 0], 2), [1, 1, 0], 'an idle one first');
  const [first = 0, second = 0] = chosen('mh', [300, 100, 0], 4000);
  t.ok(Math.abs(first / second - 3) < 0.4, `${first}:${second}`);
  for (const name of ['rr', 'wrr', 'lc', 'wlc', 'sed', 'nq', 'mh'] as const) {
    const of = { weight: new Int32Array(2), active: new Int32Array(2), inactive: new Int32Array(2) };
    t.equal(schedulerOf(name, of, randomOf(1)).choose(), -1, `${name}: nobody left`);
  }
});

t.test('what is asked for is what leaves the cards, as long as it fits', async (t) => {
  const [scenario] = Object.values(scenarios);
  if (!scenario) throw new Error('no scenario');
  const speeds = speedsOf(scenario, 8, 50);
  const asked = askedMbit(scenario, speeds, 0.6);
  const { txMbit, lost, connections } = simulate({
    seed: 5,
    seconds: 120,
    cards: speeds.map((speedMbit) => ({ speedMbit })),
    workload: workloadOf(scenario, 50, 20_000),
    askedMbit: () => asked,
    scheduler: 'wlc',
    weights: () => speeds,
  });
  const rows = txMbit.slice(20);
  const mean = rows.flat().reduce((a, b) => a + b, 0) / rows.length;
  t.ok(Math.abs(mean / asked - 1) < 0.1, `${mean} of ${asked}`);
  t.equal(lost, 0);
  t.ok(connections > 1000);
});

t.test('a host that stops takes all its connections with it, those between two requests too', async (t) => {
  const goneAt = 30;
  const { repliedAt, lost, unanswered } = simulate({
    seed: 1,
    seconds: 60,
    cards: [{ speedMbit: 20, serves: (now) => now < goneAt || now >= goneAt + 5 }],
    workload: { ...workloadOf(scenarios.a as Scenario, 20, 16_000), gapSeconds: 10 },
    askedMbit: (now) => (now < goneAt ? 10 : 0),
    scheduler: 'wlc',
    weights: (now) => [now < goneAt || now >= goneAt + 5 ? 1 : 0],
  });
  t.ok(repliedAt.length > 100);
  t.strictSame(
    repliedAt.filter((at) => at >= goneAt),
    [],
    'nobody is answered who was lost',
  );
  t.ok(lost > 10);
  t.ok(unanswered.length > 0 && unanswered.every(({ until }) => Math.abs(until - goneAt) < 0.1));
});

t.test('requests that are open at the end are told with the time since they are wanted', async (t) => {
  const { repliedAt, unanswered } = simulate({
    seed: 1,
    seconds: 20,
    cards: [{ speedMbit: 0.001 }],
    workload: workloadOf(scenarios.a as Scenario, 20, 16_000),
    askedMbit: () => 10,
    scheduler: 'wlc',
    weights: () => [1],
  });
  t.equal(repliedAt.length, 0);
  t.ok(unanswered.length > 50);
  t.ok(unanswered.every(({ wantedAt, until }) => wantedAt < 20 && until === Number.POSITIVE_INFINITY));
});

t.test('sizes are drawn with the mean that the load is reckoned from', async (t) => {
  for (const scenario of Object.values(scenarios)) {
    const site = siteOf(workloadOf(scenario, 100, 20_000), 3);
    const random = randomOf(4);
    const sizes = Array.from({ length: 20_000 }, () => site.session(random)).flatMap(({ objects }) =>
      objects.map((object) => site.sizes[object] ?? 0),
    );
    const mean = sizes.reduce((a, b) => a + b, 0) / sizes.length;
    t.ok(Math.abs(mean / site.meanBytes - 1) < 0.08, `${scenario.name}: ${mean} ${site.meanBytes}`);
  }
});

t.test('unevenness is 0 of equal loads, whatever the speeds are, and time to even is when it begins', async (t) => {
  const speeds = [100, 20];
  const all = { from: 0, seconds: 20 };
  const even = Array.from({ length: 20 }, () => [50, 10]);
  t.equal(unevenness(bySecond(even), speeds, all), 0);
  const uneven = Array.from({ length: 20 }, () => [100, 0]);
  t.equal(unevenness(bySecond(uneven), speeds, all), 1);
  t.equal(unevenness(bySecond([...uneven, ...even]), speeds, { from: 20, seconds: 20 }), 0);
  t.equal(secondsToEven(bySecond([...uneven, ...even]), speeds), 20);
  t.equal(secondsToEven(bySecond(uneven), speeds), undefined);
});

holds(
  t,
  'unevenness is the same however long the rows are, and there is none when more than a second of it is missing',
  fc.property(
    fc.array(fc.double({ min: 0.2, max: 3, noNaN: true }), { minLength: 60, maxLength: 60 }),
    fc.double({ min: 0, max: 3, noNaN: true }),
    (lengths, missing) => {
      const ends = lengths.map((_, i) => lengths.slice(0, i + 1).reduce((sum, length) => sum + length, 0));
      const whole = Math.floor((ends.at(-1) ?? 0) / 10) * 10;
      const rows = ends.map((to, i) => ({ from: ends[i - 1] ?? 0, to: Math.min(to, whole - missing), mbit: [3, 1] }));
      const cut = rows.filter(({ from, to }) => from < to);
      const is = unevenness(cut, [10, 10], { from: 0, seconds: whole });
      if (whole < 10 || missing > 1.001) return is === undefined;
      return missing > 0.999 || Math.abs((is ?? Number.NaN) - 0.5) < 1e-9;
    },
  ),
);
