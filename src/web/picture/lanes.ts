import { leastWidth, ribbonWidth } from './scale.ts';

/** One of several ribbons side by side. */
export interface Lane {
  width: number;
  /** Its middle, from the outer edge of all of them. */
  offset: number;
}

const gapOf = (count: number) => (count > 6 ? 2.5 : 4);

/** Room that so many ribbons side by side never exceed. */
export const roomFor = (count: number, most: number): number =>
  most + count * leastWidth + Math.max(0, count - 1) * gapOf(count);

/** Ribbons side by side, the first the outermost, and how much room all take; together they are drawn `most` wide at the full rate. */
export function lanesOf(
  rates: readonly (number | null)[],
  full: number,
  most: number,
): { lanes: Lane[]; room: number } {
  const whole = Math.max(
    full,
    rates.reduce<number>((sum, rate) => sum + (rate ?? 0), 0),
  );
  const gap = gapOf(rates.length);
  let edge = 0;
  const lanes = rates.map((rate) => {
    const width = ribbonWidth(rate, whole, most);
    const offset = edge + width / 2;
    edge += width + gap;
    return { width, offset };
  });
  return { lanes, room: Math.max(0, edge - gap) };
}
