// What weights by headroom are to reach, and how far chance goes.
import type { Goal } from '../lab/events.ts';
import { digits } from './numbers.ts';

type Kind = 'unevenness' | 'mbit' | 'otherMbit';
/** What was measured of a kind at a load, of a side, by round. Fewer values than rounds: not measured. */
export type Measured = (kind: Kind, load: number, side: string) => readonly number[];

export interface Plan {
  loads: readonly number[];
  sides: readonly string[];
  rounds: number;
  /** Percent that headroom is to stay under. */
  mostUneven?: number;
}

/** How headroom did beside the others at a load. */
interface Case {
  load: number;
  unmeasured: readonly string[];
  is: number;
  best: number;
  chance: number;
  /** How much less good than the best of the others; below 0: better. */
  behind: number;
  /** The least good of the others behind the best of all, headroom with it. */
  lastBehind: number;
}

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
const named = (load: number, words: string) => `at ${load * 100} %: ${words}`;
const atLoads = (cases: readonly Case[]) => `at ${cases.map(({ load }) => load * 100).join(', ')} %`;

export function goalsOf(plan: Plan, measured: Measured): Goal[] {
  const { loads, mostUneven } = plan;
  const cases = (better: 'less' | 'more', values: (load: number, side: string) => readonly number[]) =>
    loads.map((load) => caseOf(plan, load, better, (side) => values(load, side)));
  const uneven = cases('less', (load, side) => measured('unevenness', load, side));
  const mbit = cases('more', (load, side) => measured('mbit', load, side));
  const hasOther = loads.some((load) => measured('otherMbit', load, 'headroom').length > 0);
  const visits = (load: number, side: string) =>
    measured('mbit', load, side).map((all, round) => all - (measured('otherMbit', load, side)[round] ?? 0));
  return [
    goalOf('unevenness by headroom', 'is the lowest but for chance', uneven, {
      ...plan,
      unit: '%',
      more: [...outright(uneven, plan), ...saysLittle(uneven, plan)],
    }),
    ...(mostUneven === undefined ? [] : [staysUnder(mostUneven, uneven)]),
    goalOf('throughput', 'is never less than that of any scheduler but for chance', mbit, {
      ...plan,
      unit: 'Mbit/s',
      more: hasOther ? [`of the visits alone ${cases('more', visits).map((one) => wordsOf(one, plan)).join('; ')}`] : [], // biome-ignore format: one chain
    }),
  ];
}

function caseOf(
  { sides, rounds }: Plan,
  load: number,
  better: 'less' | 'more',
  valuesOf: (side: string) => readonly number[],
): Case {
  const values = sides.map(valuesOf);
  const means = values.map(mean);
  const is = means[sides.indexOf('headroom')] ?? Number.NaN;
  const others = means.filter((_, i) => sides[i] !== 'headroom').sort((a, b) => (better === 'less' ? a - b : b - a));
  const [best = Number.NaN, last = Number.NaN] = [others[0], others.at(-1)];
  const behind = (value: number) => (better === 'less' ? value - best : best - value);
  return {
    load,
    unmeasured: sides.filter((_, i) => values[i]?.length !== rounds),
    is,
    best,
    chance: chanceIn(values),
    behind: behind(is),
    lastBehind: behind(last) - Math.min(0, behind(is)),
  };
}

const wordsOf = ({ load, is, best, chance }: Case, { rounds }: Plan) =>
  named(load, `${digits(is)}, best ${digits(best)}${rounds > 1 ? `, chance ${digits(chance)}` : ''}`);

/** Whoever was not measured could have been better: the goal is missed. */
function goalOf(
  what: string,
  goal: string,
  cases: readonly Case[],
  { unit, more, ...plan }: Plan & { unit: string; more: readonly string[] },
): Goal {
  const missed = cases.flatMap((one) => {
    const { load, unmeasured, behind, chance } = one;
    if (unmeasured.length > 0)
      return [named(load, `${unmeasured.join(', ')} ${unmeasured.length === 1 ? 'was' : 'were'} not always measured`)];
    return behind <= chance ? [] : [`${wordsOf(one, plan)} ${unit}`];
  });
  const chances = cases.map(({ chance }) => chance);
  const reach = `chance is ${digits(Math.min(...chances))} to ${digits(Math.max(...chances))} ${unit}`;
  const first = missed.length === 0 ? 'at every load' : `not ${missed.join(', ')}`;
  const met = missed.length === 0;
  return { what, goal, measured: [first, ...(met && plan.rounds > 1 ? [reach] : []), ...more].join('; '), met };
}

function staysUnder(limit: number, cases: readonly Case[]): Goal {
  const missed = cases.flatMap(({ load, unmeasured, is }) => {
    if (unmeasured.includes('headroom')) return [named(load, 'not measured')];
    return is < limit ? [] : [named(load, `${digits(is)} %`)];
  });
  const measured = missed.length === 0 ? 'at every load' : `not ${missed.join(', ')}`;
  return { what: 'with equal cards', goal: `it is under ${limit} %`, measured, met: missed.length === 0 };
}

/** Where it is better than every other, and where by more than chance. */
function outright(cases: readonly Case[], plan: Plan): string[] {
  const known = cases.filter(({ unmeasured }) => unmeasured.length === 0);
  const clear = known.filter(({ behind, chance }) => -behind > chance).length;
  const clearly = plan.rounds > 1 ? `, by more than chance in ${clear}` : '';
  const others = known.filter(({ behind }) => behind >= 0);
  const except = others.length > 0 ? `, not ${others.map((one) => wordsOf(one, plan)).join(', ')}` : '';
  return [`outright in ${known.length - others.length} of ${cases.length} cases${clearly}${except}`];
}

/** Where chance goes so far that no stock scheduler would miss the goal either. */
function saysLittle(cases: readonly Case[], { rounds }: Plan): string[] {
  if (rounds === 1) return [];
  const wide = cases.filter(({ unmeasured, lastBehind, chance }) => unmeasured.length === 0 && lastBehind <= chance);
  const where = wide.length > 0 ? ` (${atLoads(wide)}), which say little` : '';
  return [`every stock scheduler would pass too in ${wide.length} of ${cases.length} cases${where}`];
}
