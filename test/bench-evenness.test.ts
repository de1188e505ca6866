import t from 'tap';
import { cellOf, measuresOf, wordsOf } from '../infra/bench/evenness-cell.ts';
import { goalsOf } from '../infra/bench/evenness-goals.ts';
import { meter } from '../infra/bench/evenness-meter.ts';
import { bySecond } from '../infra/simulation/evenness.ts';
import { randomOf } from '../infra/simulation/random.ts';
import { type Scenario, scenarios } from '../infra/simulation/scenarios.ts';

const all = ['rr', 'wrr', 'lc', 'wlc', 'sed', 'nq', 'mh', 'headroom'];

t.test('goals of evenness: chance is what the sides differ by otherwise in the next round', async (t) => {
  const plan = { loads: [0.5, 0.75], sides: all, rounds: 2, mostUneven: 5 };
  const of = (uneven: Record<string, number[]>, mbit: Record<string, number[]>) =>
    goalsOf(plan, (kind, _, side) => {
      if (kind === 'otherMbit') return [];
      return kind === 'mbit' ? (mbit[side] ?? [40, 42]) : (uneven[side] ?? [6, 8]);
    }).map(({ met }) => met);
  t.strictSame(of({ headroom: [4, 5] }, {}), [true, true, true]);
  t.strictSame(of({ headroom: [7, 9] }, {}), [false, false, true], 'a round of its own level is no chance');
  t.strictSame(of({ headroom: [7, 9], rr: [6, 9], lc: [8, 7] }, {}), [true, false, true]);
  t.strictSame(of({ headroom: [4, 4] }, { headroom: [39, 41] }), [true, true, false]);
  t.strictSame(of({ headroom: [4, 4] }, { headroom: [39, 41], lc: [39, 42.5], nq: [41, 41] }), [true, true, true]);
  t.strictSame(
    goalsOf({ ...plan, rounds: 1 }, (kind, _, side) => {
      if (kind === 'otherMbit') return [];
      return [side === 'headroom' ? 4.1 : kind === 'mbit' ? 4.1 : 4];
    }).map(({ met }) => met),
    [false, true, true],
    'a single round says nothing of it',
  );
});

t.test('goals of evenness: among equals one case in a hundred is called worse', async (t) => {
  const random = randomOf(1);
  for (const [rounds, most] of [
    [2, 0.016],
    [3, 0.008],
  ] as const) {
    const loads = Array.from({ length: 4000 }, (_, i) => i);
    const levels = loads.map(() => Array.from({ length: rounds }, () => 20 * random.normal()));
    const [throughput] = goalsOf({ loads, sides: all, rounds }, (kind, load) =>
      kind === 'otherMbit' ? [] : (levels[load] ?? []).map((level) => 100 + level + random.normal()),
    ).slice(-1);
    const share = (throughput?.measured.match(/at \d+ %: /g)?.length ?? 0) / loads.length;
    t.ok(share > 0.0005 && share < most, `${rounds} rounds: ${share}`);
  }
});

t.test('goals of evenness: what was not measured is told, and proves nothing', async (t) => {
  const of = (unmeasured: string) =>
    goalsOf({ loads: [0.5], sides: ['rr', 'wrr', 'headroom'], rounds: 2, mostUneven: 5 }, (kind, _, side) =>
      kind === 'otherMbit' ? [] : side === unmeasured ? [4] : [4, 4],
    ).map(({ met, measured }) => ({ met, measured: measured.split(';')[0] }));
  const missed = (side: string) => ({ met: false, measured: `not at 50 %: ${side} was not always measured` });
  t.strictSame(of('rr'), [missed('rr'), { met: true, measured: 'at every load' }, missed('rr')]);
  t.strictSame(of('headroom'), [
    missed('headroom'),
    { met: false, measured: 'not at 50 %: not measured' },
    missed('headroom'),
  ]);
});

t.test('goals of evenness tell where headroom is not the lowest outright, and where chance says little', async (t) => {
  const uneven: Record<string, number[]> = { headroom: [3, 3.2], rr: [2, 2.4], lc: [30, 31] };
  const [lowest] = goalsOf({ loads: [0.5, 0.75], sides: ['rr', 'lc', 'headroom'], rounds: 2 }, (kind, load, side) => {
    if (kind !== 'unevenness') return [40, 40];
    const [first = 0, second = 0] = uneven[side] ?? [];
    return load === 0.5 ? [first, second] : side === 'headroom' ? [1, 9] : [9, 2];
  });
  t.match(
    lowest?.measured,
    /outright in 1 of 2 cases, by more than chance in 0, not at 50 %: 3\.10, best 2\.20, chance \d/,
  );
  t.match(lowest?.measured, /every stock scheduler would pass too in 1 of 2 cases \(at 75 %\), which say little$/);
});

t.test('goals of evenness: stock schedulers alike far behind headroom would not pass', async (t) => {
  const uneven: Record<string, number[]> = { headroom: [9, 9.5], rr: [36, 32], lc: [33, 34.5] };
  const [lowest] = goalsOf({ loads: [0.5], sides: ['rr', 'lc', 'headroom'], rounds: 2 }, (kind, _, side) =>
    kind === 'unevenness' ? (uneven[side] ?? []) : [40, 40],
  );
  t.match(lowest?.measured, /outright in 1 of 1 cases, by more than chance in 1; every stock .* in 0 of 1 cases$/);
});

t.test('goals of evenness tell the throughput of the visits alone where there is other egress', async (t) => {
  const goals = goalsOf({ loads: [0.95], sides: ['rr', 'lc', 'headroom'], rounds: 2 }, (kind, _, side) => {
    if (kind === 'otherMbit') return side === 'headroom' ? [9, 9] : [8, 8];
    return [69, 70];
  });
  const [throughput] = goals.slice(-1);
  t.match(throughput?.measured, 'of the visits alone at 95 %: 60.5, best 61.5, chance 0');
});

const about = {
  taken: { bytes: 2_500_000, otherBytes: 0, seconds: 2 },
  inPhase: { bytes: 1_000_000, otherBytes: 0, seconds: 1 },
  speeds: [10, 10],
  settleSeconds: 1,
  measuredSeconds: 20,
  idle: 0,
};
const tally = { replies: 0, bytes: 0, failed: 0, reasons: {}, p50Ms: 0, p99Ms: 0 };
const secondsOf = (length: number) => bySecond(Array.from({ length }, () => [5, 5]));

t.test('a cell of evenness, where the guest was too slow for a window, has no figure that needs it', async (t) => {
  for (const count of [0, 1, 11, 19]) {
    const cell = cellOf({ ...about, tally, rows: secondsOf(count) });
    t.match(cell, { unevenness: undefined, mbit: 10, failed: 0 }, `${count} seconds`);
    t.match(wordsOf(cell), /^unevenness not measured, the guest was too slow, .* 0 failed/);
  }
  for (const count of [20, 21, 30])
    t.equal(cellOf({ ...about, tally, rows: secondsOf(count) }).unevenness, 0, `${count} seconds`);
});

t.test('a cell of evenness goes by the time of its rows, not by their number', async (t) => {
  const rows = Array.from({ length: 14 }, (_, i) => ({ from: 1.5 * i, to: 1.5 * (i + 1), mbit: [5, i < 7 ? 5 : 0] }));
  const cell = cellOf({ ...about, tally, rows });
  t.match(cell, { secondsToEven: 0 });
  t.ok(Math.abs((cell.unevenness ?? 0) - (100 * (0.25 / 9.75 + 1)) / 2) < 0.01, `${cell.unevenness}`);
});

t.test('a cell of evenness tells what was taken in all, in its phase, and by others', async (t) => {
  const rows = secondsOf(21);
  const cell = cellOf({ ...about, tally: { ...tally, failed: 2, reasons: { 'HTTP/1.1 404': 2 } }, rows });
  t.match(cell, { unevenness: 0, mbit: 10, phaseMbit: 8, phaseOtherMbit: undefined, secondsToEven: 0 });
  t.equal(
    wordsOf(cell),
    '0.0 % uneven, 10.0 Mbit/s, visits of this phase 8.0; even after 0 s, p99 0 ms, 2 failed (HTTP/1.1 404: 2), processor 0 % idle',
  );
  const taken = { bytes: 2_000_000, otherBytes: 500_000, seconds: 2 };
  const inPhase = { bytes: 500_000, otherBytes: 250_000, seconds: 1 };
  const busy = cellOf({ ...about, taken, inPhase, tally, rows });
  t.match(busy, { mbit: 10, otherMbit: 2, phaseMbit: 4, phaseOtherMbit: 2 }, 'other egress counts as the visits do');
  t.match(wordsOf(busy), /, 10\.0 Mbit\/s, 2\.0 of it other egress, /);
});

t.test('the tables of evenness say what was asked for beside what was taken', async (t) => {
  const of = (key: string) => Object.values(measuresOf(key, scenarios[key] as Scenario, [25, 25, 25, 25], [0.5]));
  const inPhase = (key: string) =>
    of(key)
      .filter(({ group }) => group === 'taken in this phase')
      .map(({ what }) => what);
  t.strictSame(inPhase('a'), ['a equal cards at 50 %: visits, 50 asked for']);
  t.strictSame(inPhase('c'), [
    'c one server busy with other egress at 50 %: visits, 40 asked for',
    'c one server busy with other egress at 50 %: other egress',
  ]);
});

t.test('rows of the meter follow each other without a gap, until the phase has ended', async (t) => {
  let bytes = 0;
  const began = performance.now() - 500;
  const counters = async () => {
    bytes += 125_000;
    return [bytes];
  };
  const ended = new Promise<string>((resolve) => setTimeout(() => resolve('tally'), 1200));
  const { rows, tally, endedAt } = await meter(ended, { counters, began });
  t.equal(tally, 'tally');
  t.equal(rows.length, 2);
  t.ok(Math.abs(endedAt - began - 1700) < 300, `${endedAt - began}`);
  t.ok((rows[0]?.from ?? 0) >= 0.5);
  t.equal(rows[1]?.from, rows[0]?.to);
  for (const { from, to, mbit } of rows) t.ok(Math.abs((mbit[0] ?? 0) * (to - from) - 1) < 1e-6);
});
