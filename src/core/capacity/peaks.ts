/** The busiest minute of one day. */
export interface DayPeak {
  /** Days since the epoch, UTC: the core knows no other. */
  day: number;
  /** What the pool's real servers sent in it, Mbit/s. */
  mbit: number;
  /** Minutes of the day in which all their cards were heard of. */
  minutes: number;
}

/** By pool; the days in order. */
export type Peaks = Readonly<Record<string, readonly DayPeak[]>>;

const dayMs = 86_400_000;
/** So many days back the present growth is looked for. */
export const keptDays = 42;

/** @param now milliseconds since the epoch */
export const dayOf = (now: number): number => Math.floor(now / dayMs);
/** RFC 3339 date of a day. */
export const dateOf = (day: number): string => new Date(day * dayMs).toISOString().slice(0, 10);

/**
 * The days with one more minute. Those that are too far from it go, on both sides: a clock that was wrong leaves nothing
 * behind for good.
 */
export function withMinute(
  days: readonly DayPeak[],
  { day, mbit, isWhole }: { day: number; mbit: number; isWhole: boolean },
): DayPeak[] {
  const of = days.find((known) => known.day === day);
  const now = {
    day,
    mbit: Math.max(of?.mbit ?? 0, Math.round(mbit * 1000) / 1000),
    minutes: Math.min(1440, (of?.minutes ?? 0) + (isWhole ? 1 : 0)),
  };
  return [...days.filter((known) => known.day !== day && Math.abs(known.day - day) <= keptDays), now].sort(
    (a, b) => a.day - b.day,
  );
}
