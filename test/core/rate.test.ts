import fc from 'fast-check';
import t from 'tap';
import { type Bucket, taken } from '../../src/core/rate.ts';
import { holds } from '../property.ts';

holds(
  t,
  'in any span of time no more is let through than the burst and what is due in it; what is due is let through',
  fc.property(
    fc.record({ perSecond: fc.integer({ min: 1, max: 100 }), burst: fc.integer({ min: 1, max: 50 }) }),
    fc.array(fc.nat(500), { minLength: 1, maxLength: 200 }),
    (rate, gaps) => {
      let bucket: Bucket | undefined;
      let now = 0;
      const through: number[] = [];
      for (const gap of gaps) {
        now += gap;
        const next = taken(bucket, rate, now);
        // After a second per one there is always one.
        if (!next && gap * rate.perSecond >= 1000) return false;
        if (next) through.push(now);
        bucket = next ?? bucket;
      }
      return through.every((from, i) =>
        through.slice(i).every((to, count) => count + 1 <= rate.burst + ((to - from) * rate.perSecond) / 1000 + 1e-6),
      );
    },
  ),
);

t.test('a clock that goes back lets nobody in', async (t) => {
  t.equal(taken({ left: 0, at: 1000 }, { perSecond: 1000, burst: 5 }, 0), undefined);
});
