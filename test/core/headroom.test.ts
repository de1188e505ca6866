import fc from 'fast-check';
import t from 'tap';
import {
  type Headroom,
  type HeadroomCard,
  type HeadroomMember,
  headroomWords,
  nextHeadroom,
  oldMs,
} from '../../src/core/headroom.ts';
import { holds } from '../property.ts';

const card = (txMbit: number, more: Partial<HeadroomCard> = {}): HeadroomCard => ({
  speedMbit: 100,
  txMbit,
  lostShare: 0,
  ageMs: 500,
  ...more,
});
const member = (of: HeadroomCard | undefined, more: Partial<HeadroomMember> = {}): HeadroomMember => ({
  weight: 100,
  isSteady: true,
  card: of,
  lastSpeedMbit: undefined,
  kernelWeight: 0,
  ...more,
});
/** Looks a second apart, the cards as `at` says. */
function looks(seconds: number, at: (second: number) => Record<string, HeadroomMember>, from?: Headroom): Headroom {
  let headroom = from;
  for (let second = 0; second < seconds; second++)
    headroom = nextHeadroom(headroom, new Map(Object.entries(at(second))), (headroom?.at ?? 0) + 1000);
  return headroom as Headroom;
}
const weights = (of: Headroom) => Object.fromEntries(of.weights);

t.test('an even pool is left alone, chance included', async (t) => {
  const of = looks(60, (second) => ({ a: member(card(50 + (second % 2))), b: member(card(51 - (second % 2))) }));
  t.strictSame(weights(of), { a: 1000, b: 1000 });
});

t.test('shares are in the ratio of speeds and of configured weights', async (t) => {
  const slow = card(10, { speedMbit: 20 });
  t.strictSame(weights(looks(5, () => ({ a: member(card(50)), b: member(slow) }))), { a: 1000, b: 200 });
  const half = { weight: 50 };
  t.strictSame(weights(looks(5, () => ({ a: member(card(60)), b: member(card(30), half) }))), { a: 1000, b: 500 });
});

t.test('the fuller card gets less, at once and more with time; the weight never becomes 0', async (t) => {
  const busy = () => ({ a: member(card(80)), b: member(card(20)) });
  const [first, later, last] = [looks(2, busy), looks(10, busy), looks(600, busy)].map(weights);
  const ratio = (of: Record<string, number> | undefined) => (of?.a ?? 0) / (of?.b ?? 0);
  t.ok(ratio(first) < 0.9, `${ratio(first)}`);
  t.ok(ratio(later) < ratio(first));
  t.ok(ratio(last) < 0.15 && (last?.a ?? 0) >= 1, `${ratio(last)}`);
});

t.test('a card that is all but full is not given more, however much fuller others are', async (t) => {
  const of = looks(30, () => ({ a: member(card(99)), b: member(card(96)), c: member(card(97)) }));
  t.ok(
    [...of.trims.values()].every((trim) => trim <= 0.01),
    JSON.stringify(weights(of)),
  );
});

t.test('packets that are lost make a card fuller than its bytes say', async (t) => {
  const of = looks(10, () => ({ a: member(card(50, { lostShare: 0.02 })), b: member(card(50)) }));
  t.equal(of.loads.get('a'), 1);
  t.ok((of.weights.get('a') ?? 0) < (of.weights.get('b') ?? 0));
});

t.test('without reports the weights go back to what is configured, in half a minute or so', async (t) => {
  const busy = looks(60, () => ({ a: member(card(80)), b: member(card(20)) }));
  const silent = looks(90, () => ({ a: member(undefined), b: member(undefined) }), busy);
  const ratio = (silent.weights.get('a') ?? 0) / (silent.weights.get('b') ?? 0);
  t.ok(ratio > 0.85, `${ratio}`);
  const old = looks(
    90,
    () => ({ a: member(card(80, { ageMs: oldMs + 1 })), b: member(card(20, { ageMs: oldMs + 1 })) }),
    busy,
  );
  t.strictSame(old.weights, silent.weights, 'old reports are none');
  t.match(headroomWords(silent, 'a'), /nothing is heard of its card/);
  t.match(headroomWords(busy, 'a'), /^weight \d+ of 1000 by headroom: its card is 80 % full$/);
});

t.test('a card whose speed nobody knows counts as one of the middle, and its load says nothing', async (t) => {
  const of = looks(20, () => ({
    a: member(card(50)),
    b: member(card(10, { speedMbit: null })),
    c: member(card(5, { speedMbit: 10 })),
  }));
  t.strictSame(weights(of), { a: 1000, b: 1000, c: 100 });
  t.notOk(of.loads.has('b'));
});

t.test('who has just come in is not judged by its load', async (t) => {
  const of = looks(20, () => ({ a: member(card(50)), b: member(card(52)), c: member(card(1), { isSteady: false }) }));
  t.strictSame(weights(of), { a: 1000, b: 1000, c: 1000 });
});

t.test('a card that carries next to nothing beside most others gets no more than its configured share', async (t) => {
  const others = { a: member(card(60)), b: member(card(61)), c: member(card(60)) };
  const of = looks(60, () => ({ ...others, d: member(card(1)) }));
  t.strictSame(weights(of), { a: 1000, b: 1000, c: 1000, d: 1000 });
  t.match(headroomWords(of, 'd'), /its card is 1 % full, far less than most others: .*look at what it answers$/);
  t.match(headroomWords(of, 'a'), /its card is 60 % full$/);
  const after = looks(240, () => ({ ...others, d: member(card(1)) }), looks(60, () => ({ ...others, d: member(card(95)) }))); // biome-ignore format: short
  t.ok((after.weights.get('d') ?? 0) > 950, 'also one that had little after it was busy with something else');
  const busy = looks(30, () => ({ a: member(card(1)), b: member(card(1)), c: member(card(1)), d: member(card(60)) }));
  t.ok((busy.weights.get('d') ?? 0) < 500, 'one that is fuller than all others has less');
  t.match(headroomWords(busy, 'a'), /its card is 1 % full$/);
});

t.test('a card whose speed is not known is told from one that is silent, with what to do', async (t) => {
  const of = looks(3, () => ({ a: member(card(50, { speedMbit: null })), b: member(undefined), c: member(card(50)) }));
  t.match(headroomWords(of, 'a'), /its card does not know its own speed.*: set speedMbit in its agent's config$/);
  t.match(headroomWords(of, 'a', true), /: set speedMbit in the controller's config$/);
  t.match(headroomWords(of, 'b'), /: nothing is heard of its card$/);
});

t.test('after a start a slow card keeps its small share, though its own agent is silent', async (t) => {
  const fast = member(card(500, { speedMbit: 1000 }), { kernelWeight: 1000 });
  const silent = member(undefined, { lastSpeedMbit: 100, kernelWeight: 100 });
  const of = looks(300, () => ({ a: fast, b: fast, c: silent }));
  t.strictSame(weights(of), { a: 1000, b: 1000, c: 100 });
});

t.test('who was out when a controller starts stands at the middle of the others', async (t) => {
  const there = member(card(50), { kernelWeight: 100 });
  const of = looks(1, () => ({ a: there, b: there, c: member(card(0), { isSteady: false }) }));
  t.strictSame(weights(of), { a: 1000, b: 1000, c: 1000 });
});

t.test('another configured weight counts at once', async (t) => {
  const before = looks(5, () => ({ a: member(card(50)), b: member(card(50)) }));
  const members = new Map(Object.entries({ a: member(card(50)), b: member(card(50), { weight: 10 }) }));
  t.ok((nextHeadroom(before, members, before.at + 10).weights.get('b') ?? 1000) <= 100);
});

t.test('a controller that starts anew goes on with the shares that the kernel has', async (t) => {
  const kernel = { a: member(undefined, { kernelWeight: 250 }), b: member(undefined, { kernelWeight: 1000 }) };
  t.strictSame(weights(looks(1, () => kernel)), { a: 250, b: 1000 });
  const heard = looks(4, (second) => (second < 2 ? kernel : { a: member(card(50), { kernelWeight: 250 }), b: member(card(50), { kernelWeight: 1000 }) })); // biome-ignore format: short
  t.strictSame(weights(heard), { a: 250, b: 1000 }, 'also when the agents speak at last');
  const far = { a: member(undefined, { kernelWeight: 40 }), b: member(undefined, { kernelWeight: 1000 }) };
  t.strictSame(weights(looks(3, () => far)), { a: 40, b: 1000 }, 'also where a quick answer had taken them far apart');
});

t.test('looks that are too near to each other are one, unless a member has come', async (t) => {
  const [a, b] = [member(card(50)), member(card(50))];
  const before = nextHeadroom(undefined, new Map([['a', a]]), 0);
  t.equal(nextHeadroom(before, new Map([['a', a]]), 500), before);
  t.strictSame(weights(nextHeadroom(before, new Map(Object.entries({ a, b })), 500)), { a: 1000, b: 1000 });
  t.strictSame(weights(nextHeadroom(before, new Map([['b', b]]), 500)), { b: 1000 });
  t.strictSame(nextHeadroom(before, new Map(), 5000).weights, new Map());
});

t.test('when the loads swing it acts more gently', async (t) => {
  const swinging = looks(120, (second) => {
    const side = Math.sin((second / 8) * 2 * Math.PI);
    return { a: member(card(50 + 30 * side)), b: member(card(50 - 30 * side)) };
  });
  const steady = looks(120, () => ({ a: member(card(50)), b: member(card(50)) }));
  t.ok(swinging.gain < 0.1, `${swinging.gain}`);
  t.ok(steady.gain > 0.9, `${steady.gain}`);
});

const cardArb = fc.record({
  speedMbit: fc.constantFrom(null, 0, 10, 100, 1000),
  txMbit: fc.double({ min: 0, max: 2000, noNaN: true }),
  lostShare: fc.double({ min: 0, max: 1, noNaN: true }),
  ageMs: fc.integer({ min: 0, max: 10_000 }),
});
const memberArb: fc.Arbitrary<HeadroomMember> = fc.record({
  weight: fc.constantFrom(1, 7, 100, 65535),
  isSteady: fc.boolean(),
  card: fc.option(cardArb, { nil: undefined }),
  lastSpeedMbit: fc.constantFrom(undefined, 100, 1000),
  kernelWeight: fc.constantFrom(0, 1, 500, 1000, 65535),
});
holds(
  t,
  'whatever is reported, every member has a whole weight of 1 to 65535, and the same inputs give the same weights',
  fc.property(
    fc.array(
      fc.tuple(
        fc.dictionary(fc.constantFrom('a', 'b', 'c', 'd'), memberArb, { noNullPrototype: true }),
        fc.integer({ min: -1000, max: 60_000 }),
      ),
      { maxLength: 20 },
    ),
    (steps) => {
      let [of, again, now]: [Headroom | undefined, Headroom | undefined, number] = [undefined, undefined, 0];
      for (const [members, later] of steps) {
        now += later;
        of = nextHeadroom(of, new Map(Object.entries(members)), now);
        again = nextHeadroom(again, new Map(Object.entries(members)), now);
        if (JSON.stringify([...of.weights]) !== JSON.stringify([...again.weights])) return false;
        if ([...of.weights.keys()].sort().join() !== Object.keys(members).sort().join()) return false;
        for (const weight of of.weights.values())
          if (!(Number.isInteger(weight) && weight >= 1 && weight <= 65535)) return false;
      }
      return true;
    },
  ),
  500,
);
