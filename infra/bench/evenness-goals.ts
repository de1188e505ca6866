// What weights by headroom are to reach, and how far chance goes.
import type { Goal } from '../lab/events.ts';

type Kind = 'unevenness' | 'mbit';
/** What was measured of a kind in a scenario at a load, of a side, by round. Fewer values than rounds: not measured. */
export type Measured = (kind: Kind, scenario: string, load: number, side: string) => readonly number[];

/**
 * Times the standard error of a difference: so far is the best of seven sides ahead of an eighth that is as good in one case of a hundred
 * when all have two rounds, in fewer when they have more (Dunnett 1955, one-sided, seven degrees of freedom: 4.15).
 */
const chanceErrors = 4.15;

/**
 * How far two sides' means may differ by chance: by what is left of the values when each side's own level and each round's are
 * taken out, since rounds have other visits. 0 with a single round, which says nothing of it.
 * @param values by side, then by round
 */
function chanceIn(values: readonly (readonly number[])[]): number {
  const rounds = values[0]?.length ?? 0;
  const free = (values.length - 1) * (rounds - 1);
  if (free < 1) return 0;
  const ofSide = values.map(mean);
  const ofRound = Array.from({ length: rounds }, (_, round) => mean(values.map((of) => of[round] ?? 0)));
  const all = mean(ofSide);
  const left = values.flatMap((of, side) =>
    of.map((value, round) => value - (ofSide[side] ?? 0) - (ofRound[round] ?? 0) + all),
  );
  const variance = left.reduce((sum, of) => sum + of * of, 0) / free;
  return chanceErrors * Math.sqrt((2 * variance) / rounds);
}

const mean = (of: readonly number[]) => of.reduce((sum, value) => sum + value, 0) / of.length;

export function goalsOf(
  {
    scenarios,
    loads,
    sides,
    rounds,
  }: { scenarios: readonly string[]; loads: readonly number[]; sides: readonly string[]; rounds: number },
  measured: Measured,
): Goal[] {
  const cases = scenarios.flatMap((scenario) => loads.map((load) => ({ scenario, load })));
  const named = ({ scenario, load }: (typeof cases)[number], words: string) =>
    `${scenario} at ${load * 100} %: ${words}`;
  const tell = (what: string, goal: string, missed: readonly string[], otherwise: string): Goal => ({
    what,
    goal,
    measured: missed.length === 0 ? otherwise : `not in ${missed.join(', ')}`,
    met: missed.length === 0,
  });
  /** Whoever was not measured could have been better: the case is missed. */
  const compare = (what: string, goal: string, kind: Kind, better: 'less' | 'more', unit: string): Goal => {
    const chances: number[] = [];
    const missed = cases.flatMap((at) => {
      const values = sides.map((side) => measured(kind, at.scenario, at.load, side));
      const unknown = sides.filter((_, i) => values[i]?.length !== rounds);
      if (unknown.length > 0)
        return [named(at, `${unknown.join(', ')} ${unknown.length === 1 ? 'was' : 'were'} not always measured`)];
      const means = values.map(mean);
      const is = means[sides.indexOf('headroom')] ?? Number.NaN;
      const stock = means.filter((_, i) => sides[i] !== 'headroom');
      const best = better === 'less' ? Math.min(...stock) : Math.max(...stock);
      const behind = better === 'less' ? is - best : best - is;
      const chance = chanceIn(values);
      chances.push(chance);
      return behind <= chance
        ? []
        : [named(at, `${is.toFixed(1)}, best ${best.toFixed(1)}${rounds > 1 ? `, chance ${chance.toFixed(1)}` : ''} ${unit}`)]; // biome-ignore format: one chain
    });
    const [least, most] = [Math.min(...chances), Math.max(...chances)];
    const reach = rounds > 1 ? `; chance is ${least.toFixed(1)} to ${most.toFixed(1)} ${unit}` : '';
    return tell(what, goal, missed, `in all ${cases.length} cases${reach}`);
  };
  const even = loads.flatMap((load) => {
    const values = measured('unevenness', 'a', load, 'headroom');
    const is = values.length === rounds ? mean(values) : Number.NaN;
    return is < 5 ? [] : [named({ scenario: 'a', load }, Number.isFinite(is) ? `${is.toFixed(1)} %` : 'not measured')];
  });
  return [
    compare('unevenness by headroom', 'is the lowest but for chance', 'unevenness', 'less', '%'),
    tell('with equal cards', 'it is under 5 %', even, 'at every load'),
    compare('throughput', 'is never less than that of any scheduler but for chance', 'mbit', 'more', 'Mbit/s'),
  ];
}
