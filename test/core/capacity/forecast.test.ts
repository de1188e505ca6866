import fc from 'fast-check';
import t from 'tap';
import { daysNeeded, forecastOf, trendOf } from '../../../src/core/capacity/forecast.ts';
import { type DayPeak, keptDays } from '../../../src/core/capacity/peaks.ts';
import { holds } from '../../property.ts';

const today = 20_000;
/** The days before today, as many as this, each with its peak. */
const daysOf = (count: number, peak: (day: number) => number, minutes = 1440): DayPeak[] =>
  Array.from({ length: count }, (_, i) => today - count + i).map((day) => ({ day, mbit: peak(day), minutes }));
const forecast = (days: readonly DayPeak[], capacityMbit: number | null, on = today) =>
  forecastOf(trendOf(days, on), capacityMbit);

const peaksArb = fc.array(fc.double({ min: 0, max: 1000, noNaN: true }), {
  minLength: daysNeeded,
  maxLength: keptDays,
});
const daysArb = peaksArb.map((peaks) => daysOf(peaks.length, (day) => peaks[day - today + peaks.length] ?? 0));
const capacityArb = fc.double({ min: 1, max: 3000, noNaN: true });
const weekArb = fc.array(fc.double({ min: 0.1, max: 1, noNaN: true }), { minLength: 7, maxLength: 7 });
const gapsArb = fc.uniqueArray(fc.nat(keptDays - 1), { maxLength: keptDays - daysNeeded });

holds(
  t,
  'traffic that is the same each week never fills the pool, whatever its weekends and gaps',
  fc.property(weekArb, gapsArb, fc.double({ min: 1.01, max: 100, noNaN: true }), (week, gaps, room) => {
    const days = daysOf(keptDays, (day) => week[day % 7] ?? 0).filter((_, i) => !gaps.includes(i));
    const { state, fullInDays, growthMbitPerDay } = forecast(days, room * Math.max(...week));
    return state === 'not-growing' && fullInDays === null && growthMbitPerDay === 0;
  }),
);

holds(
  t,
  'traffic that grows by as much each day fills it on the right day, also when days are missing or stand out',
  fc.property(
    fc.double({ min: 0.1, max: 5, noNaN: true }),
    fc.integer({ min: 1, max: 363 }),
    fc.uniqueArray(fc.nat(keptDays - 1), { maxLength: 8 }),
    fc.nat(3),
    (growth, left, gaps, flashes) => {
      const line = (day: number) => 100 + growth * (day - (today - keptDays));
      const days = daysOf(keptDays, line).filter((_, i) => !gaps.includes(i));
      // A day whose link is on every front page.
      for (let i = 0; i < flashes; i++) days[i * 9] = { ...(days[i * 9] as DayPeak), mbit: 5000 };
      const { state, fullInDays } = forecast(days, line(today + left));
      return state === 'growing' && Math.abs((fullInDays ?? 0) - left) <= 1;
    },
  ),
);

holds(
  t,
  'with weekends it is a busy day of the week that fills first',
  fc.property(
    weekArb,
    fc.double({ min: 0.5, max: 5, noNaN: true }),
    fc.integer({ min: 20, max: 300 }),
    (week, growth, left) => {
      const second = [...week].sort((a, b) => b - a)[1] ?? 0;
      const peak = (day: number) => growth * (day - today) + 1000 + 10 * (week[day % 7] ?? 0);
      const { fullInDays } = forecast(daysOf(keptDays, peak), 1000 + 10 * second + growth * left);
      return Math.abs((fullInDays ?? 0) - left) <= 1;
    },
  ),
);

holds(
  t,
  'more capacity is never full sooner',
  fc.property(daysArb, capacityArb, fc.double({ min: 0, max: 3000, noNaN: true }), (days, capacity, more) => {
    const end = (mbit: number) => forecast(days, mbit).fullInDays ?? Number.POSITIVE_INFINITY;
    return end(capacity + more) >= end(capacity);
  }),
);

holds(
  t,
  'the unit does not matter: with all figures times a power of two it is the same day',
  fc.property(daysArb, capacityArb, fc.integer({ min: -8, max: 8 }), (days, capacity, n) => {
    // Numbers that are all but zero are not exact any more when they are halved.
    const exact = days.map((of) => ({ ...of, mbit: of.mbit < 1e-9 ? 0 : of.mbit }));
    const scaled = exact.map((of) => ({ ...of, mbit: of.mbit * 2 ** n }));
    const { state, fullInDays } = forecast(exact, capacity);
    const other = forecast(scaled, capacity * 2 ** n);
    return other.state === state && other.fullInDays === fullInDays;
  }),
);

holds(
  t,
  'a day on, the same days say the same, and that it is a day less',
  fc.property(daysArb, capacityArb, (all, capacity) => {
    const days = all.filter(({ day }) => day > today - keptDays + 1 && day < today - 1);
    const before = forecast(days, capacity, today - 1);
    const after = forecast(days, capacity);
    if (before.state === 'full' || before.state === 'beyond-a-year') return true;
    if (before.fullInDays === null) return after.state === before.state;
    return Math.abs((after.fullInDays ?? -9) - (before.fullInDays - 1)) <= 1;
  }),
);

t.test('days that are not over, not seen enough, too old or yet to come do not count', async (t) => {
  const flat = daysOf(keptDays, () => 50);
  const odd: DayPeak[] = [
    { day: today - keptDays - 1, mbit: 1e6, minutes: 1440 },
    ...flat,
    { day: today, mbit: 1e6, minutes: 700 },
    { day: today + 3, mbit: 1e6, minutes: 1440 },
  ];
  t.strictSame(trendOf(odd, today), trendOf(flat, today));
  t.match(
    forecast(
      daysOf(20, () => 50, 17 * 60),
      100,
    ),
    { state: 'learning', daysSeen: 0 },
  );
});

t.test('it says in words what it knows and what it does not', async (t) => {
  t.match(
    forecast(
      daysOf(2, () => 50),
      100,
    ),
    {
      state: 'learning',
      daysSeen: 2,
      daysNeeded: 14,
      growthMbitPerDay: null,
      fullInDays: null,
      fullOn: null,
      words: 'when it will be full is not known yet: 2 of 14 days seen',
    },
  );
  t.match(
    forecast(
      daysOf(14, () => 50),
      null,
    ),
    { state: 'not-known', growthMbitPerDay: null },
  );
  t.match(
    forecast(
      daysOf(14, () => 50),
      100,
    ),
    { state: 'not-growing', words: 'its peaks do not grow' },
  );
  const rising = daysOf(21, (day) => 50 + (day - today));
  t.match(forecast(rising, 52), {
    state: 'growing',
    growthMbitPerDay: 1,
    fullInDays: 2,
    fullOn: '2024-10-06',
    words: 'at the present growth it is full in 2 days (2024-10-06)',
  });
  t.match(forecast(rising, 51), { words: /full in 1 day \(2024-10-05\)/ });
  t.match(forecast(rising, 50), { state: 'full', fullInDays: 0, fullOn: '2024-10-04' });
  t.match(forecast(rising, 50 + 365), { state: 'growing', fullInDays: 365 });
  t.match(forecast(rising, 50 + 366), { state: 'beyond-a-year', fullInDays: null, growthMbitPerDay: 1 });
  t.match(
    forecast(
      daysOf(21, (day) => 50 - (day - today)),
      100,
    ),
    { state: 'not-growing' },
    'it shrinks',
  );
});
