import fc from 'fast-check';
import t from 'tap';
import { type DayPeak, dateOf, dayOf, keptDays, withMinute } from '../../../src/core/capacity/peaks.ts';
import { holds } from '../../property.ts';

type Minute = Parameters<typeof withMinute>[1];
const minuteArb = fc.record({
  day: fc.integer({ min: 0, max: 150 }),
  mbit: fc.double({ min: 0, max: 1e5, noNaN: true }),
  isWhole: fc.boolean(),
});
const live = (minutes: Minute[]): DayPeak[] => {
  let days: DayPeak[] = [];
  for (const minute of minutes) days = withMinute(days, minute);
  return days;
};

holds(
  t,
  'whatever the clock does: bounded, in order, no day twice, and today is there with its highest minute',
  fc.property(fc.array(minuteArb, { minLength: 1, maxLength: 300 }), (minutes) => {
    const days = live(minutes);
    const { day = 0, mbit = 0 } = minutes.at(-1) ?? {};
    return (
      days.length <= 2 * keptDays + 1 &&
      days.every((of, i) => i === 0 || of.day > (days[i - 1]?.day ?? 0)) &&
      days.every((of) => Math.abs(of.day - day) <= keptDays) &&
      (days.find((of) => of.day === day)?.mbit ?? -1) >= Math.round(mbit * 1000) / 1000
    );
  }),
);

holds(
  t,
  'the order of the minutes of one day does not matter',
  fc.property(fc.array(minuteArb, { minLength: 1, maxLength: 20 }), (some) => {
    const minutes = some.map((of) => ({ ...of, day: 3 }));
    const [there] = live(minutes);
    const [back] = live([...minutes].reverse());
    return there?.mbit === back?.mbit && there?.minutes === minutes.filter(({ isWhole }) => isWhole).length;
  }),
);

t.test('a clock that was set back and right again costs no day near to it', async (t) => {
  const days = live([
    { day: 100, mbit: 50, isWhole: true },
    { day: 99, mbit: 10, isWhole: true },
    { day: 100, mbit: 20, isWhole: true },
  ]);
  t.strictSame(days, [
    { day: 99, mbit: 10, minutes: 1 },
    { day: 100, mbit: 50, minutes: 2 },
  ]);
  t.equal(live(Array(2000).fill({ day: 1, mbit: 1, isWhole: true }))[0]?.minutes, 1440);
});

t.test('days are those of UTC', async (t) => {
  t.equal(dayOf(86_400_000 - 1), 0);
  t.equal(dayOf(86_400_000), 1);
  t.equal(dateOf(20_000), '2024-10-04');
});
