import type { Check } from '../check-schema.ts';

type Timing = Pick<Check, 'intervalMs' | 'jitterPercent'>;

/** Within this time the first check of a target begins, so that a start is quick and yet does not begin all at once. */
const SPREAD_MS = 200;

/** Milliseconds until the first check of a target. `random` answers 0 to below 1. */
export const firstDelay = ({ intervalMs }: Timing, random: () => number): number =>
  random() * Math.min(intervalMs, SPREAD_MS);

/** Milliseconds from the beginning of one check to that of the next. */
export const nextDelay = ({ intervalMs, jitterPercent }: Timing, random: () => number): number =>
  intervalMs * (1 + ((2 * random() - 1) * jitterPercent) / 100);
