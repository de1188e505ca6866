import fc from 'fast-check';
import t from 'tap';
import { hash53 } from '../../../src/core/url/hash.ts';
import { holds } from '../../property.ts';

holds(
  t,
  'a hash is a whole number below 2^53, and another text has another one',
  fc.property(fc.string(), fc.string(), (one, other) => {
    const hash = hash53(one);
    return Number.isSafeInteger(hash) && hash >= 0 && (one === other) === (hash === hash53(other));
  }),
  1000,
);

t.test('each bit is as often 0 as 1', async (t) => {
  const many = 4000;
  const hashes = Array.from({ length: many }, (_, i) => BigInt(hash53(`/img/${i}.jpg`)));
  for (let bit = 0n; bit < 53n; bit++) {
    const ones = hashes.filter((hash) => (hash >> bit) & 1n).length;
    t.ok(Math.abs(ones - many / 2) < many * 0.06, `bit ${bit}: ${ones}`);
  }
});
