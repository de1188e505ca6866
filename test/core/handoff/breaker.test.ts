import fc from 'fast-check';
import t from 'tap';
import { after, type Breaker, mayTry, newBreaker } from '../../../src/core/handoff/breaker.ts';
import { holds } from '../../property.ts';

const run = (outcomes: readonly boolean[], now = 0): Breaker =>
  outcomes.reduce((breaker, succeeded) => after(breaker, succeeded, now), newBreaker);

t.test('three failures in a row shut it for five seconds, and one more for five again', async (t) => {
  t.ok(mayTry(run([false, false]), 0));
  const shut = run([false, false, false], 1000);
  t.notOk(mayTry(shut, 5999));
  t.ok(mayTry(shut, 6000));
  t.notOk(mayTry(after(shut, false, 6000), 10_999));
});

holds(
  t,
  'after a success it is as new, whatever was before',
  fc.property(fc.array(fc.boolean()), (outcomes) => run([...outcomes, true]) === newBreaker),
);

holds(
  t,
  'it is shut exactly when the last three failed',
  fc.property(fc.array(fc.boolean()), (outcomes) => {
    const last = outcomes.slice(-3);
    return mayTry(run(outcomes), 0) === !(last.length === 3 && last.every((succeeded) => !succeeded));
  }),
);
