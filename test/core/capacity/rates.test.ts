import fc from 'fast-check';
import t from 'tap';
import { type CapacityCards, cardsNow, type LongRates, nextLongRates } from '../../../src/core/capacity/rates.ts';
import { type CardRate, freshMs } from '../../../src/core/traffic.ts';
import { holds } from '../../property.ts';

const rate = (txMbit: number, more: Partial<CardRate> = {}): CardRate => ({
  interface: 'eth0',
  speedMbit: 100,
  rxMbit: 0,
  txMbit,
  rxPacketsPerSecond: 0,
  txPacketsPerSecond: 0,
  lostPerSecond: 0,
  loadPercent: txMbit,
  fuller: 'tx',
  ageMs: 0,
  ...more,
});

/** Looks once a second at what `rates` says of each. */
function live(seconds: number, rates: (second: number) => Record<string, CardRate>) {
  let long: LongRates | undefined;
  const minutes: CapacityCards[] = [];
  for (let second = 0; second <= seconds; second++) {
    const next = nextLongRates(long, new Map(Object.entries(rates(second))), second * 1000);
    long = next.rates;
    if (next.minute) minutes.push(next.minute);
  }
  return { long, minutes };
}

t.test('a minute is the average of its looks, so that one large reply is no peak', async (t) => {
  const { minutes } = live(120, (second) => ({ rs1: rate(second % 60 < 6 ? 100 : 0) }));
  t.equal(minutes.length, 2);
  t.equal(Math.round(minutes[1]?.get('rs1')?.txMbit ?? -1), 10);
});

t.test('a card that is not heard of for a part of a minute is not known for it', async (t) => {
  const { minutes, long } = live(120, (second) => ({
    rs1: rate(10, { ageMs: second > 90 ? freshMs + 1 : 0 }),
    rs2: rate(20, { speedMbit: second > 100 ? null : 100 }),
  }));
  t.equal(minutes[0]?.get('rs1')?.txMbit, 10);
  t.equal(minutes[1]?.get('rs1')?.txMbit, null);
  t.equal(minutes[1]?.get('rs2')?.txMbit, 20);
  const now = cardsNow(long, new Map([['rs1', rate(10, { ageMs: freshMs + 1, speedMbit: null })]]));
  t.match(now.get('rs1'), { speedMbit: 100, txMbit: null }, 'how fast it is stays known');
  t.match(now.get('rs2'), { speedMbit: 100, txMbit: null });
});

t.test('before the first look there is what is now, and after an hour of silence nothing', async (t) => {
  t.strictSame(
    [...cardsNow(undefined, new Map([['rs1', rate(7, { speedMbit: null })]]))],
    [['rs1', { speedMbit: null, txMbit: 7, usualMbit: 0 }]],
  );
  const { long } = live(3700, (second) => (second < 60 ? { rs1: rate(1), rs2: rate(1) } : { rs2: rate(1) }));
  t.strictSame([...cardsNow(long, new Map()).keys()], ['rs2']);
});

t.test('one look makes nothing usual yet, and a speed that nobody knows stays unknown', async (t) => {
  const { long } = live(0, () => ({ rs1: rate(7, { speedMbit: null }) }));
  t.match(cardsNow(long, new Map()).get('rs1'), { speedMbit: null, txMbit: null, usualMbit: 0 });
});

t.test('what is usual follows over some minutes', async (t) => {
  const usual = (seconds: number) =>
    cardsNow(live(seconds, (second) => ({ rs1: rate(second < 3600 ? 10 : 50) })).long, new Map()).get('rs1')
      ?.usualMbit ?? 0;
  t.equal(Math.round(usual(1)), 10);
  t.equal(Math.round(usual(3500)), 10);
  t.ok(usual(3610) < 12);
  t.ok(usual(3600 + 2400) > 48);
});

holds(
  t,
  'what is usual lies between the least and the most that was seen',
  fc.property(fc.array(fc.double({ min: 0, max: 1000, noNaN: true }), { minLength: 2, maxLength: 200 }), (seen) => {
    const { long } = live(seen.length - 1, (second) => ({ rs1: rate(seen[second] ?? 0) }));
    const usual = cardsNow(long, new Map()).get('rs1')?.usualMbit ?? -1;
    return usual >= Math.min(...seen) - 1e-9 && usual <= Math.max(...seen) + 1e-9;
  }),
);
