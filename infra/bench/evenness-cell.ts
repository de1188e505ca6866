// What was measured of one scheduler in one scenario at one load.
import { secondsToEven, unevenness } from '../simulation/evenness.ts';
import type { PhaseTally } from './visitors.ts';

export interface Cell {
  /** Coefficient of variation of the cards' loads over windows of 10 s, percent. Undefined: the guest was too slow for one window. */
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
  p99Ms: number;
  failed: number;
  reasons: Record<string, number>;
  /** Percent. */
  idle: number;
}

/** @param from rows: Mbit/s by second, by card; taken: since the visits began, by their clients, and by others of the same cards; idle: percent */
export function cellOf({
  taken,
  rows,
  speeds,
  settleSeconds,
  measuredSeconds,
  tally: { p99Ms, failed, reasons },
  idle,
}: {
  taken: { bytes: number; otherBytes: number; seconds: number };
  rows: readonly (readonly number[])[];
  speeds: readonly number[];
  settleSeconds: number;
  measuredSeconds: number;
  tally: PhaseTally;
  idle: number;
}): Cell {
  const measured = rows.slice(settleSeconds, settleSeconds + measuredSeconds);
  const uneven = unevenness(measured, speeds);
  const mbitOf = (bytes: number) => (bytes * 8) / 1e6 / taken.seconds;
  return {
    unevenness: uneven === undefined ? undefined : uneven * 100,
    secondsToEven: secondsToEven(rows, speeds) ?? null,
    mbit: mbitOf(taken.bytes + taken.otherBytes),
    otherMbit: taken.otherBytes > 0 ? mbitOf(taken.otherBytes) : undefined,
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
  p99Ms,
  failed,
  reasons,
  idle,
}: Cell): string {
  const uneven = of === undefined ? 'unevenness not measured, the guest was too slow' : `${of.toFixed(1)} % uneven`;
  const why = Object.entries(reasons).map(([what, count]) => ` (${what}: ${count})`);
  const other = otherMbit === undefined ? '' : `, ${otherMbit.toFixed(1)} of it other egress`;
  return `${uneven}, ${mbit.toFixed(1)} Mbit/s${other}; even after ${even === null ? 'never' : `${even} s`}, p99 ${p99Ms} ms, ${failed} failed${why.join('')}, processor ${Math.round(idle)} % idle`;
}
