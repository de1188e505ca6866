// What weights by headroom are to reach, and how far chance goes in one run.
import type { Goal } from '../lab/events.ts';

type Kind = 'unevenness' | 'mbit';
/** The median of a kind in a scenario at a load, of a side; undefined where it was not measured. */
export type Measured = (kind: Kind, scenario: string, load: number, side: string) => number | undefined;

/** Schedulers that choose alike while all weights are equal: what they differ by is chance. */
const twins = [
  ['rr', 'wrr'],
  ['lc', 'wlc'],
  ['sed', 'nq'],
] as const;
const unequal = 'b';

export function goalsOf(
  { scenarios, loads, sides }: { scenarios: readonly string[]; loads: readonly number[]; sides: readonly string[] },
  measured: Measured,
): Goal[] {
  const stock = sides.filter((side) => side !== 'headroom');
  const of = (kind: Kind, scenario: string, load: number, side: string) =>
    measured(kind, scenario, load, side) ?? Number.NaN;
  /** The most that twins differ by at a load, but for one difference: the machine may have been held up once. */
  const chance = (kind: Kind, load: number) =>
    scenarios
      .flatMap((scenario) =>
        scenario === unequal
          ? []
          : twins
              .map(([one, other]) => Math.abs(of(kind, scenario, load, one) - of(kind, scenario, load, other)))
              .filter(Number.isFinite),
      )
      .sort((a, b) => b - a)[1] ?? 0;
  const each = scenarios.flatMap((scenario) => loads.map((load) => ({ scenario, load })));
  const tell = (what: string, goal: string, missed: readonly string[]): Goal => ({
    what,
    goal,
    measured: missed.length === 0 ? `in all ${each.length} cases` : `not in ${missed.join(', ')}`,
    met: missed.length === 0,
  });
  const named = ({ scenario, load }: (typeof each)[number], words: string) =>
    `${scenario} at ${load * 100} %: ${words}`;
  /** Whoever was not measured could have been better: the case is missed. */
  const misses = (kind: Kind, miss: (is: number, stock: number[], load: number) => string | undefined) =>
    each.flatMap((at) => {
      const value = (side: string) => of(kind, at.scenario, at.load, side);
      const unknown = sides.filter((side) => !Number.isFinite(value(side)));
      const words =
        unknown.length > 0
          ? `${unknown.join(', ')} ${unknown.length === 1 ? 'was' : 'were'} not measured`
          : miss(value('headroom'), stock.map(value), at.load);
      return words === undefined ? [] : [named(at, words)];
    });
  const uneven = misses('unevenness', (is, others, load) => {
    const least = Math.min(...others);
    return is <= least + chance('unevenness', load) ? undefined : `${is.toFixed(1)}, lowest ${least.toFixed(1)} %`;
  });
  const slower = misses('mbit', (is, others, load) => {
    const most = Math.max(...others);
    return is >= most - chance('mbit', load) ? undefined : `${is.toFixed(1)}, most ${most.toFixed(1)} Mbit/s`;
  });
  const even = loads.flatMap((load) => {
    const is = of('unevenness', 'a', load, 'headroom');
    return is < 5 ? [] : [named({ scenario: 'a', load }, Number.isFinite(is) ? `${is.toFixed(1)} %` : 'not measured')];
  });
  return [
    tell('unevenness by headroom', 'is the lowest, or within what schedulers that choose alike differ by', uneven),
    { ...tell('with equal cards', 'it is under 5 %', even), measured: even.join(', ') || 'at every load' },
    tell('throughput', 'is never less than that of any scheduler, but for the same chance', slower),
  ];
}
