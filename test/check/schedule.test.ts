import fc from 'fast-check';
import t from 'tap';
import { firstDelay, nextDelay } from '../../src/check/schedule.ts';
import { holds } from '../property.ts';

const timing = fc.record({
  intervalMs: fc.integer({ min: 50, max: 3_600_000 }),
  jitterPercent: fc.integer({ min: 0, max: 50 }),
});
const share = fc.double({ min: 0, max: 1, maxExcluded: true, noNaN: true });

holds(
  t,
  'a check begins soon at first, and then no further from its interval than the jitter',
  fc.property(timing, share, (check, random) => {
    const first = firstDelay(check, () => random);
    t.ok(first >= 0 && first < Math.min(200, check.intervalMs));
    const off = Math.abs(nextDelay(check, () => random) - check.intervalMs);
    t.ok(off <= (check.intervalMs * check.jitterPercent) / 100 + 1e-6);
  }),
);

t.test('the middle of the jitter is the interval', async (t) => {
  t.equal(
    nextDelay({ intervalMs: 1000, jitterPercent: 50 }, () => 0.5),
    1000,
  );
  t.equal(
    nextDelay({ intervalMs: 1000, jitterPercent: 10 }, () => 0),
    900,
  );
});
