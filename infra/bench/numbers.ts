// What many values come to. A value is null where what was waited for never came.
export type Value = number | null;

export interface Figure {
  /** null: half of the values or more are. */
  median: Value;
  fastest: Value;
  slowest: Value;
  values: Value[];
}

/** @param better whether less is faster, as of times, or more, as of Mbit/s */
export function figureOf(values: readonly Value[], better: 'less' | 'more' = 'less'): Figure {
  const never = better === 'less' ? Number.POSITIVE_INFINITY : Number.NEGATIVE_INFINITY;
  const sorted = values.map((value) => value ?? never).sort((a, b) => (better === 'less' ? a - b : b - a));
  const known = (value: number | undefined): Value => (value === undefined || value === never ? null : value);
  return {
    median: known(median(sorted)),
    fastest: known(sorted[0]),
    slowest: known(sorted.at(-1)),
    values: [...values],
  };
}

export function median(values: readonly number[]): number {
  const sorted = values.toSorted((a, b) => a - b);
  const middle = sorted.length >> 1;
  return sorted.length % 2 ? (sorted[middle] ?? 0) : ((sorted[middle - 1] ?? 0) + (sorted[middle] ?? 0)) / 2;
}

/** The value that 99 of 100 do not exceed. */
export function p99(values: readonly number[]): number {
  return values.toSorted((a, b) => a - b)[Math.ceil(values.length * 0.99) - 1] ?? 0;
}

/** Fewer values than these tell nothing of chance. */
export const fewest = 5;

/**
 * The mean, and how far it may be from 0 by chance: Student's t with four degrees of freedom, one-sided, of the standard error. One of
 * a hundred such means is further off with five values, fewer are with more.
 */
export function meanAndChance(values: readonly number[]): { mean: number; chance: number } {
  const mean = values.reduce((sum, value) => sum + value, 0) / values.length;
  const variance = values.reduce((sum, value) => sum + (value - mean) ** 2, 0) / (values.length - 1);
  return { mean, chance: 3.75 * Math.sqrt(variance / values.length) };
}

/** Three digits, or all that are before the point. */
export function digits(value: number): string {
  const size = Math.abs(value);
  return value.toFixed(size >= 100 || value === 0 ? 0 : size >= 10 ? 1 : 2);
}
