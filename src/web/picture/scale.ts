const steps = [1, 1.5, 2, 2.5, 3, 4, 5, 6, 8];

/** The next larger round number, 1 at least. */
export function niceCeiling(value: number): number {
  for (let ten = 1; Number.isFinite(value); ten *= 10)
    for (const step of steps) if (step * ten >= value) return step * ten;
  return 1;
}

/** Narrower than this nothing is seen. */
export const leastWidth = 1.5;

/** Width of a ribbon, pixels: in proportion to its rate, where `full` Mbit/s are `most` pixels. */
export function ribbonWidth(mbit: number | null, full: number, most: number): number {
  if (mbit === null || mbit <= 0) return leastWidth;
  return Math.max(leastWidth, Math.min(1, mbit / full) * most);
}

/** How fast a flow moves, pixels a second; 0: it stands still. Small flows are seen to move too. */
export function flowSpeed(mbit: number | null, full: number): number {
  if (mbit === null || mbit <= 0) return 0;
  return 14 + 86 * Math.sqrt(Math.min(1, mbit / full));
}
