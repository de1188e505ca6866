import t from 'tap';
import { nextSwing, noSwing, oppositeness } from '../../src/core/swing.ts';

const after = (looks: number, at: (look: number) => number) => {
  let swing = noSwing;
  for (let look = 0; look < looks; look++) swing = nextSwing(swing, new Map([['a', at(look)]]));
  return oppositeness(swing);
};

t.test('deviations that come back with the opposite sign are a swing, whatever their period is', async (t) => {
  for (const period of [5, 8, 12, 20, 30])
    t.ok(after(120, (look) => Math.sin((look / period) * 2 * Math.PI)) < -0.6, `${period}`);
});

t.test('a deviation that stays, or none, is no swing', async (t) => {
  t.equal(
    after(100, () => 1),
    0,
  );
  t.equal(
    after(100, () => 0),
    0,
  );
  t.equal(oppositeness(noSwing), 0);
});

t.test('a swing is forgotten when it is over', async (t) => {
  t.ok(after(500, (look) => (look < 60 ? Math.sin(look) : 0.5)) > -0.1);
});
