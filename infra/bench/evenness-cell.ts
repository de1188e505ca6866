// What was measured of one scheduler in one scenario at one load.
import { type Row, secondsToEven, unevenness } from '../simulation/evenness.ts';
import { askedMbit, type Scenario } from '../simulation/scenarios.ts';
import type { PhaseTally } from './visitors.ts';

export interface Cell {
  /** Coefficient of variation of the cards' loads over windows of 10 s, percent. Undefined: the guest was too slow for one of them. */
  unevenness: number | undefined;
  /** null: never. */
  secondsToEven: number | null;
  /**
   * From the first phase on: what a scheduler left undone it may do in the next, which then has more than was asked for. Other egress
   * counts as the visits do: a scheduler that fills its card gives clients what it takes from it.
   */
  mbit: number;
  /** Of which other egress. Undefined: there is none. */
  otherMbit: number | undefined;
  /** Of the visits, in this phase alone: tells whether what was asked for was carried. */
  phaseMbit: number;
  phaseOtherMbit: number | undefined;
  p99Ms: number;
  failed: number;
  reasons: Record<string, number>;
  /** Percent. */
  idle: number;
}

export type Kind = Exclude<keyof Cell, 'reasons'>;

/** The tables of the figures, in their order. */
export const kinds: Record<Kind, { group: string; unit: string; better?: 'more'; of?: string }> = {
  unevenness: { group: 'unevenness of the cards', unit: '%' },
  secondsToEven: { group: 'even after the change', unit: 's' },
  mbit: { group: 'taken since the visits began, in the mean, other egress with it', unit: 'Mbit/s', better: 'more' },
  otherMbit: { group: 'of which other egress', unit: 'Mbit/s', better: 'more' },
  phaseMbit: { group: 'taken in this phase', unit: 'Mbit/s', better: 'more', of: 'visits' },
  phaseOtherMbit: { group: 'taken in this phase', unit: 'Mbit/s', better: 'more', of: 'other egress' },
  p99Ms: { group: '99 of 100 requests take less than; what is open at the end counts with its age', unit: 'ms' },
  failed: { group: 'failed requests', unit: 'in all' },
  idle: { group: "idle of the guest's one CPU", unit: '%', better: 'more' },
};

export const keyOf = (kind: Kind, load: number): string => `${kind} ${load}`;

/** A measure each kind and load, by {@link keyOf}. */
export function measuresOf(name: string, scenario: Scenario, speeds: readonly number[], loads: readonly number[]) {
  const isOther = (kind: Kind) => kind === 'otherMbit' || kind === 'phaseOtherMbit';
  const chosen = (Object.keys(kinds) as Kind[]).filter((kind) => !isOther(kind) || scenario.lastBusy > 0);
  const asked = (load: number) => Math.round(askedMbit(scenario, speeds, load));
  return Object.fromEntries(
    chosen.flatMap((kind) =>
      loads.map((load) => {
        const { of, ...measure } = kinds[kind];
        const what = `${name} ${scenario.name} at ${load * 100} %`;
        const part = of === 'visits' ? `: visits, ${asked(load)} asked for` : of ? `: ${of}` : '';
        return [keyOf(kind, load), { ...measure, what: `${what}${part}` }];
      }),
    ),
  );
}

export interface Taken {
  /** By clients of the visits, and by others of the same cards. */
  bytes: number;
  otherBytes: number;
  seconds: number;
}

/** @param from rows: by seconds since the phase began; taken: since the visits began; inPhase: in this one alone; idle: percent */
export function cellOf({
  taken,
  inPhase,
  rows,
  speeds,
  settleSeconds,
  measuredSeconds,
  tally: { p99Ms, failed, reasons },
  idle,
}: {
  taken: Taken;
  inPhase: Taken;
  rows: readonly Row[];
  speeds: readonly number[];
  settleSeconds: number;
  measuredSeconds: number;
  tally: PhaseTally;
  idle: number;
}): Cell {
  const uneven = unevenness(rows, speeds, { from: settleSeconds, seconds: measuredSeconds });
  const mbitOf = (bytes: number, seconds: number) => (bytes * 8) / 1e6 / seconds;
  const otherOf = ({ otherBytes, seconds }: Taken) => (otherBytes > 0 ? mbitOf(otherBytes, seconds) : undefined);
  return {
    unevenness: uneven === undefined ? undefined : uneven * 100,
    secondsToEven: secondsToEven(rows, speeds) ?? null,
    mbit: mbitOf(taken.bytes + taken.otherBytes, taken.seconds),
    otherMbit: otherOf(taken),
    phaseMbit: mbitOf(inPhase.bytes, inPhase.seconds),
    phaseOtherMbit: otherOf(inPhase),
    p99Ms,
    failed,
    reasons,
    idle,
  };
}

export function wordsOf({
  unevenness: of,
  secondsToEven: even,
  mbit,
  otherMbit,
  phaseMbit,
  p99Ms,
  failed,
  reasons,
  idle,
}: Cell): string {
  const uneven = of === undefined ? 'unevenness not measured, the guest was too slow' : `${of.toFixed(1)} % uneven`;
  const why = Object.entries(reasons).map(([what, count]) => ` (${what}: ${count})`);
  const other = otherMbit === undefined ? '' : `, ${otherMbit.toFixed(1)} of it other egress`;
  return `${uneven}, ${mbit.toFixed(1)} Mbit/s${other}, visits of this phase ${phaseMbit.toFixed(1)}; even after ${even === null ? 'never' : `${even} s`}, p99 ${p99Ms} ms, ${failed} failed${why.join('')}, processor ${Math.round(idle)} % idle`;
}
