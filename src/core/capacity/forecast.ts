// When a pool is full, if its daily peaks go on as they did. Growth is the median of the slopes between days that are
// whole weeks apart (the seasonal slope estimator of Hirsch, Slack and Smith, 1982, doi:10.1029/WR018i001p00107): nights
// do not count, since only peaks do, weekends are compared with weekends, and a single day that stands out changes little.
import { type DayPeak, dateOf, keptDays } from './peaks.ts';

export type ForecastState = 'not-known' | 'learning' | 'not-growing' | 'beyond-a-year' | 'growing' | 'full';

export interface Forecast {
  state: ForecastState;
  /** Days that were seen for long enough to tell their peak, and how many it takes. */
  daysSeen: number;
  daysNeeded: number;
  /** Of the daily peaks; null while it is not known. */
  growthMbitPerDay: number | null;
  /** Days from now, and that date (UTC), when one day in a week fills the pool; null where there is none. */
  fullInDays: number | null;
  fullOn: string | null;
  words: string;
}

export const daysNeeded = 14;
const week = 7;
/** A day of which less was seen may have had its peak unseen. */
const leastMinutes = 18 * 60;
/** Growth counts when so many of the comparisons agree that there is some. */
const agreed = 2 / 3;
/** Six days of a week are below the level. */
const busy = 6 / 7;
const farDays = 365;

/** What the daily peaks of a pool come to. */
export interface Trend {
  today: number;
  daysSeen: number;
  /** Of the peaks, Mbit/s a day; 0 where there is none, or no agreement on it. */
  growth: number;
  /** What the busiest day of a week comes to now, Mbit/s. */
  level: number;
}

/** @param today the day that it is, which is not over: it does not count */
export function trendOf(days: readonly DayPeak[], today: number): Trend {
  const seen = days.filter(({ day, minutes }) => day < today && day >= today - keptDays && minutes >= leastMinutes);
  if (seen.length < daysNeeded) return { today, daysSeen: seen.length, growth: 0, level: 0 };
  const growth = growthOf(seen);
  const rests = seen.map(({ day, mbit }) => mbit - growth * (day - today));
  return { today, daysSeen: seen.length, growth, level: quantile(rests, busy) };
}

/** @param capacityMbit null where it is not known */
export function forecastOf({ today, daysSeen, growth, level }: Trend, capacityMbit: number | null): Forecast {
  const isKnown = capacityMbit !== null && daysSeen >= daysNeeded;
  const found = (state: ForecastState, words: string, fullInDays: number | null = null): Forecast => ({
    state,
    daysSeen,
    daysNeeded,
    growthMbitPerDay: isKnown ? Math.round(growth * 1000) / 1000 : null,
    fullInDays,
    fullOn: fullInDays === null ? null : dateOf(today + fullInDays),
    words,
  });
  if (capacityMbit === null) return found('not-known', 'when it will be full cannot be said');
  if (!isKnown)
    return found('learning', `when it will be full is not known yet: ${daysSeen} of ${daysNeeded} days seen`);
  if (level >= capacityMbit) return found('full', 'on its busiest days it is full already', 0);
  if (growth === 0) return found('not-growing', 'its peaks do not grow');
  const left = Math.ceil((capacityMbit - level) / growth);
  if (left > farDays) return found('beyond-a-year', 'at the present growth it is not full within a year');
  return found('growing', `at the present growth it is full ${inDays(left, today)}`, left);
}

/** "in 3 days (2026-12-01)" */
export const inDays = (days: number, today: number): string =>
  `in ${days} ${days === 1 ? 'day' : 'days'} (${dateOf(today + days)})`;

/** Fourteen days have seven such pairs at least, in a row or not. */
function growthOf(seen: readonly DayPeak[]): number {
  const slopes: number[] = [];
  for (const [i, a] of seen.entries())
    for (let j = i + 1; j < seen.length; j++) {
      const b = seen[j] as DayPeak;
      if ((b.day - a.day) % week === 0) slopes.push((b.mbit - a.mbit) / (b.day - a.day));
    }
  const growing = slopes.filter((slope) => slope > 0).length;
  return growing < slopes.length * agreed ? 0 : Math.max(0, quantile(slopes, 0.5));
}

/** The least value that this part of all is not above. Of one value at least. */
function quantile(values: readonly number[], part: number): number {
  const sorted = [...values].sort((a, b) => a - b);
  return sorted[Math.max(0, Math.ceil(sorted.length * part - 1e-9) - 1)] as number;
}
