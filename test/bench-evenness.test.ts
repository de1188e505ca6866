import t from 'tap';
import { cellOf, wordsOf } from '../infra/bench/evenness-cell.ts';
import { goalsOf } from '../infra/bench/evenness-goals.ts';
import { randomOf } from '../infra/simulation/random.ts';

const all = ['rr', 'wrr', 'lc', 'wlc', 'sed', 'nq', 'mh', 'headroom'];

t.test('goals of evenness: chance is what the sides differ by otherwise in the next round', async (t) => {
  const plan = { scenarios: ['a', 'b'], loads: [0.5], sides: all, rounds: 2 };
  const of = (uneven: Record<string, number[]>, mbit: Record<string, number[]>) =>
    goalsOf(plan, (kind, _, __, side) => (kind === 'mbit' ? (mbit[side] ?? [40, 42]) : (uneven[side] ?? [6, 8]))).map(
      ({ met }) => met,
    );
  t.strictSame(of({ headroom: [4, 5] }, {}), [true, true, true]);
  t.strictSame(of({ headroom: [7, 9] }, {}), [false, false, true], 'a round of its own level is no chance');
  t.strictSame(of({ headroom: [7, 9], rr: [6, 9], lc: [8, 7] }, {}), [true, false, true]);
  t.strictSame(of({ headroom: [4, 4] }, { headroom: [39, 41] }), [true, true, false]);
  t.strictSame(of({ headroom: [4, 4] }, { headroom: [39, 41], lc: [39, 42.5], nq: [41, 41] }), [true, true, true]);
  t.strictSame(
    goalsOf({ ...plan, rounds: 1 }, (kind, _, __, side) => [side === 'headroom' ? 4.1 : kind === 'mbit' ? 4.1 : 4]).map(
      ({ met }) => met,
    ),
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
    const scenarios = Array.from({ length: 4000 }, (_, i) => `${i}`);
    const levels = scenarios.map(() => Array.from({ length: rounds }, () => 20 * random.normal()));
    const [throughput] = goalsOf({ scenarios, loads: [0.5], sides: all, rounds }, (_, scenario) =>
      (levels[Number(scenario)] ?? []).map((level) => 100 + level + random.normal()),
    ).slice(-1);
    const share = (throughput?.measured.match(/ at 50 %/g)?.length ?? 0) / scenarios.length;
    t.ok(share > 0.0005 && share < most, `${rounds} rounds: ${share}`);
  }
});

t.test('goals of evenness: what was not measured is told, and proves nothing', async (t) => {
  const of = (unmeasured: string) =>
    goalsOf({ scenarios: ['a'], loads: [0.5], sides: ['rr', 'wrr', 'headroom'], rounds: 2 }, (_, __, ___, side) =>
      side === unmeasured ? [4] : [4, 4],
    ).map(({ met, measured }) => ({ met, measured }));
  const missed = (side: string) => ({ met: false, measured: `not in a at 50 %: ${side} was not always measured` });
  t.strictSame(of('rr'), [missed('rr'), { met: true, measured: 'at every load' }, missed('rr')]);
  t.strictSame(of('headroom'), [
    missed('headroom'),
    { met: false, measured: 'not in a at 50 %: not measured' },
    missed('headroom'),
  ]);
});

t.test('a cell of evenness, where the guest was too slow for one window, has no figure that needs one', async (t) => {
  const about = {
    taken: { bytes: 2_500_000, otherBytes: 0, seconds: 2 },
    speeds: [10, 10],
    settleSeconds: 1,
    measuredSeconds: 20,
    idle: 0,
  };
  const tally = { replies: 0, bytes: 0, failed: 0, reasons: {}, p50Ms: 0, p99Ms: 0 };
  for (const count of [0, 1, 10]) {
    const cell = cellOf({ ...about, tally, rows: Array.from({ length: count }, () => [5, 5]) });
    t.match(cell, { unevenness: undefined, mbit: 10, failed: 0 }, `${count} seconds`);
    t.match(wordsOf(cell), /^unevenness not measured, the guest was too slow, .* 0 failed/);
  }
  const rows = Array.from({ length: 11 }, () => [5, 5]);
  const cell = cellOf({ ...about, tally: { ...tally, failed: 2, reasons: { 'HTTP/1.1 404': 2 } }, rows });
  t.match(cell, { unevenness: 0, mbit: 10, secondsToEven: 0 });
  t.equal(
    wordsOf(cell),
    '0.0 % uneven, 10.0 Mbit/s; even after 0 s, p99 0 ms, 2 failed (HTTP/1.1 404: 2), processor 0 % idle',
  );
  const taken = { bytes: 2_000_000, otherBytes: 500_000, seconds: 2 };
  const busy = cellOf({ ...about, taken, tally, rows });
  t.match(busy, { mbit: 10, otherMbit: 2 }, 'other egress counts as the visits do');
  t.match(wordsOf(busy), /, 10\.0 Mbit\/s, 2\.0 of it other egress; /);
});
