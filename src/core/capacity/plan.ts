/** Cards are planned to be filled to this much, in percent: above it replies wait, and a minute's average hides its peaks. */
export const fillPercent = 80;

/** What a load takes. All cards in Mbit/s. */
export interface CapacityPlan {
  peakMbit: number;
  cardMbit: number;
  fillPercent: number;
  /** Real servers with such cards, answering by themselves (DSR). */
  servers: number;
  /** The same when one may be lost at the peak. */
  serversWithSpare: number;
  /** Each reply comes in and goes out by the proxy's card, which is full duplex; besides the same real servers. */
  proxy: {
    /** What one card must be at least. */
    leastMbit: number;
    /** The usual card that is; null where there is none. */
    usualMbit: number | null;
    /** Or so many proxies with cards as above. */
    proxies: number;
  };
  /** Of the real servers that there are. */
  have: { servers: number; mbit: number; missing: number; missingWithSpare: number } | null;
}

/** Ethernet, IEEE 802.3. */
const usualCards = [10, 100, 1000, 2500, 5000, 10_000, 25_000, 40_000, 50_000, 100_000, 200_000, 400_000];

/** @param cards speeds of the cards that there are; undefined: of none it is known */
export function planFor(peakMbit: number, cardMbit: number, cards?: readonly number[]): CapacityPlan {
  const need = (peakMbit * 100) / fillPercent;
  const servers = missingFor(need, cardMbit, []);
  return {
    peakMbit,
    cardMbit,
    fillPercent,
    servers,
    serversWithSpare: servers + 1,
    proxy: { leastMbit: need, usualMbit: usualCards.find((mbit) => mbit >= need) ?? null, proxies: servers },
    have: cards
      ? {
          servers: cards.length,
          mbit: sum(cards),
          missing: missingFor(need, cardMbit, cards),
          missingWithSpare: missingWithSpare(need, cardMbit, cards),
        }
      : null,
  };
}

const missingFor = (need: number, cardMbit: number, cards: readonly number[]): number =>
  Math.max(0, Math.ceil((need - sum(cards)) / cardMbit - 1e-9));

/** So many that it is enough without the fastest of all. */
function missingWithSpare(need: number, cardMbit: number, cards: readonly number[]): number {
  const fastest = cards.reduce((most, mbit) => Math.max(most, mbit), 0);
  if (missingFor(need + fastest, cardMbit, cards) === 0) return 0;
  return missingFor(need + Math.max(fastest, cardMbit), cardMbit, cards);
}

const sum = (list: readonly number[]): number => list.reduce((a, b) => a + b, 0);
