import fc from 'fast-check';
import t from 'tap';
import { flowSpeed, niceCeiling, ribbonWidth } from '../../../src/web/picture/scale.ts';
import { holds } from '../../property.ts';

t.test('the next larger round number', async (t) => {
  for (const [value, nice] of [
    [0, 1],
    [1, 1],
    [1.2, 1.5],
    [97, 100],
    [101, 150],
    [167, 200],
    [10_406, 15_000],
  ] as const)
    t.equal(niceCeiling(value), nice, `${value}`);
  t.equal(niceCeiling(Number.POSITIVE_INFINITY), 1, 'no loop without end');
  t.equal(niceCeiling(Number.NaN), 1);
  holds(
    t,
    'it is not smaller, and less than twice as large',
    fc.property(fc.double({ min: 1, max: 1e9, noNaN: true }), (value) => {
      const nice = niceCeiling(value);
      return nice >= value && nice < value * 2;
    }),
  );
});

t.test('width and speed follow the rate', async (t) => {
  t.equal(ribbonWidth(null, 100, 60), 1.5);
  t.equal(ribbonWidth(50, 100, 60), 30);
  t.equal(ribbonWidth(500, 100, 60), 60, 'no wider than there is room');
  t.equal(flowSpeed(null, 100), 0);
  t.equal(flowSpeed(0, 100), 0, 'what does not flow stands still');
  const rate = fc.double({ min: 0.001, max: 1000, noNaN: true });
  holds(
    t,
    'more is faster',
    fc.property(rate, rate, (a, b) => a > b || flowSpeed(a, 1000) <= flowSpeed(b, 1000)),
  );
  holds(
    t,
    'a little is seen to move',
    fc.property(rate, (a) => flowSpeed(a, 1000) >= 14),
  );
});
