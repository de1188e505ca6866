import { setTimeout as sleep } from 'node:timers/promises';
import type { Row } from '../simulation/evenness.ts';

/**
 * Mbit/s that leave each card, a row about each second, until `ended`.
 * @param from counters: bytes that have left each card; began: the zero of the rows' times, by performance.now()
 */
export async function meter<T>(
  ended: Promise<T>,
  { counters, began }: { counters: () => Promise<readonly number[]>; began: number },
): Promise<{ rows: Row[]; tally: T; endedAt: number }> {
  const rows: Row[] = [];
  let end: { tally: T; endedAt: number } | undefined;
  void ended.then((tally) => {
    end = { tally, endedAt: performance.now() };
  });
  let before = await counters();
  let at = performance.now();
  while (!end) {
    await sleep(Math.max(0, at + 1000 - performance.now()));
    const [now, time] = [await counters(), performance.now()];
    const mbit = now.map((bytes, i) => ((bytes - (before[i] ?? 0)) * 8) / 1000 / (time - at));
    rows.push({ from: (at - began) / 1000, to: (time - began) / 1000, mbit });
    [before, at] = [now, time];
  }
  return { rows, ...end };
}
