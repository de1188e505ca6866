import fc from 'fast-check';
import t from 'tap';
import { homesOf } from '../../../src/core/url/affinity.ts';
import { holds } from '../../property.ts';

const names = ['rs1', 'rs2', 'rs3', 'rs4', 'rs5'];
const weightsArb = fc
  .tuple(fc.subarray(names), fc.infiniteStream(fc.constantFrom(0, 1, 50, 100, 65535)))
  .map(([some, weights]) => new Map(some.map((name) => [name, weights.next().value])));
const paths = Array.from({ length: 200 }, (_, i) => `/img/${i.toString(16)}.jpg`);

holds(
  t,
  'when a server leaves, only its own paths move, each to its next home',
  fc.property(weightsArb, fc.constantFrom(...names), (weights, gone) => {
    const without = new Map([...weights].filter(([name]) => name !== gone));
    return paths.every(
      (path) =>
        homesOf(path, without).join() ===
        homesOf(path, weights)
          .filter((name) => name !== gone)
          .join(),
    );
  }),
);

holds(
  t,
  'when a weight grows, paths move to that server alone',
  fc.property(weightsArb, fc.constantFrom(...names), fc.integer({ min: 1, max: 1000 }), (weights, name, more) => {
    const after = new Map(weights).set(name, (weights.get(name) ?? 0) + more);
    return paths.every((path) => {
      const [before, now] = [homesOf(path, weights)[0], homesOf(path, after)[0]];
      return now === before || now === name;
    });
  }),
);

holds(
  t,
  'the order of the servers does not matter, and those with weight 0 are no home',
  fc.property(weightsArb, (weights) => {
    const back = new Map([...weights].reverse());
    const serving = [...weights].filter(([, weight]) => weight > 0).map(([name]) => name);
    return paths.every((path) => {
      const homes = homesOf(path, weights);
      return homes.join() === homesOf(path, back).join() && [...homes].sort().join() === serving.sort().join();
    });
  }),
);

t.test('each has its share of the paths', async (t) => {
  const weights = new Map([['rs1', 100], ['rs2', 100], ['rs3', 50], ['rs4', 0]]); // biome-ignore format: short
  const count = new Map<string, number>();
  const many = 20_000;
  for (let i = 0; i < many; i++) {
    const home = homesOf(`/img/${i}.jpg`, weights)[0] ?? '';
    count.set(home, (count.get(home) ?? 0) + 1);
  }
  for (const [name, weight] of weights) {
    const wanted = (many * weight) / 250;
    t.ok(Math.abs((count.get(name) ?? 0) - wanted) < many * 0.015, `${name}: ${count.get(name)} of ${wanted}`);
  }
});

t.test('two servers whose hashes are alike have an order all the same', async (t) => {
  t.strictSame(homesOf('/a', new Map([['b', Number.POSITIVE_INFINITY], ['a', Number.POSITIVE_INFINITY]])), ['a', 'b']); // biome-ignore format: short
  t.strictSame(homesOf('/a', new Map([['a', Number.POSITIVE_INFINITY], ['b', Number.POSITIVE_INFINITY]])), ['a', 'b']); // biome-ignore format: short
});
