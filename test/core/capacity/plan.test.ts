import fc from 'fast-check';
import t from 'tap';
import { fillPercent, planFor } from '../../../src/core/capacity/plan.ts';
import { holds } from '../../property.ts';

const mbitArb = fc.integer({ min: 1, max: 100_000 });
const speedArb = fc.constantFrom(10, 100, 1000, 2500, 10_000);
const cardsArb = fc.array(speedArb, { maxLength: 8 });
const total = (cards: readonly number[]) => cards.reduce((a, b) => a + b, 0);
const carries = (cards: readonly number[], peak: number) => total(cards) * fillPercent >= peak * 100;
const withoutFastest = (cards: readonly number[]) => [...cards].sort((a, b) => b - a).slice(1);
const more = (cards: readonly number[], count: number, mbit: number) => [...cards, ...Array<number>(count).fill(mbit)];

holds(
  t,
  'it is as many servers as carry the peak, and not one more',
  fc.property(mbitArb, speedArb, (peak, card) => {
    const { servers, serversWithSpare, proxy, have } = planFor(peak, card);
    return (
      carries(more([], servers, card), peak) &&
      !carries(more([], servers - 1, card), peak) &&
      carries(withoutFastest(more([], serversWithSpare, card)), peak) &&
      proxy.proxies === servers &&
      have === null
    );
  }),
);

holds(
  t,
  'with the servers that there are it is as many more as are missing, and not one more',
  fc.property(mbitArb, speedArb, cardsArb, (peak, card, cards) => {
    const { have } = planFor(peak, card, cards);
    if (!have) return false;
    const { missing, missingWithSpare } = have;
    const spare = (count: number) => carries(withoutFastest(more(cards, count, card)), peak);
    return (
      carries(more(cards, missing, card), peak) &&
      (missing === 0 || !carries(more(cards, missing - 1, card), peak)) &&
      spare(missingWithSpare) &&
      (missingWithSpare === 0 || !spare(missingWithSpare - 1)) &&
      have.mbit === total(cards)
    );
  }),
);

t.test('250 Mbit/s on cards of 100, of which three are there', async (t) => {
  t.strictSame(planFor(250, 100, [100, 100, 100]), {
    peakMbit: 250,
    cardMbit: 100,
    fillPercent: 80,
    servers: 4,
    serversWithSpare: 5,
    proxy: { leastMbit: 312.5, usualMbit: 1000, proxies: 4 },
    have: { servers: 3, mbit: 300, missing: 1, missingWithSpare: 2 },
  });
  t.equal(planFor(1e6, 100).proxy.usualMbit, null, 'no card is so fast');
  t.equal(planFor(80, 100).servers, 1, 'to the very share');
});
