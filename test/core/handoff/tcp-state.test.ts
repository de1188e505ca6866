import fc from 'fast-check';
import t from 'tap';
import { type Tuple, tupleKey } from '../../../src/core/handoff/tcp-state.ts';
import { holds } from '../../property.ts';

const tupleArb: fc.Arbitrary<Tuple> = fc.record({
  vip: fc.ipV4(),
  port: fc.integer({ min: 1, max: 3 }),
  client: fc.oneof(fc.ipV4(), fc.ipV6()),
  clientPort: fc.integer({ min: 1, max: 3 }),
});

holds(
  t,
  'two connections have one key exactly when they are one',
  fc.property(
    tupleArb,
    tupleArb,
    (a, b) => (tupleKey(a) === tupleKey(b)) === (JSON.stringify(a) === JSON.stringify(b)),
  ),
);
