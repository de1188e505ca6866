import { type CardRate, freshMs } from '../traffic.ts';

/** Of the director's own card; no real server has this name. */
export const ownCard = '';

/** What is known of one card for longer than the looks that rates are made from. */
interface LongRate {
  /** Mbit/s as it was last known; null where it never was. */
  speedMbit: number | null;
  /** Of what left by it, and of how much of the time: the later, the more it counts. */
  sum: number;
  weight: number;
  /** Sum and number of the looks of this minute. */
  minuteSum: number;
  minuteLooks: number;
  /** When it was last heard of. */
  at: number;
}

/** All cards that were heard of lately, by real server, and {@link ownCard}. Times are of a clock that only grows. */
export interface LongRates {
  cards: ReadonlyMap<string, LongRate>;
  minuteSince: number;
  /** Looks of this minute. */
  looks: number;
  at: number;
}

/** One card, as capacity is reckoned from it. */
export interface CapacityCard {
  speedMbit: number | null;
  /** What leaves by it; null while it is not heard of. */
  txMbit: number | null;
  /** What left by it lately, on average, busy times above all. */
  usualMbit: number;
}

/** By real server, and {@link ownCard}. */
export type CapacityCards = ReadonlyMap<string, CapacityCard>;

/** The time that {@link CapacityCard.usualMbit} goes back, milliseconds. */
const usualMs = 600_000;
const minuteMs = 60_000;
const forgetMs = 3_600_000;
/** A card that was heard of in this part of a minute's looks speaks for the whole. */
const mostShare = 0.9;

/**
 * After another look. `minute` is there when one has passed: what left by each card on its average, so that a single
 * large reply is no peak.
 *
 * @param rates as {@link TrafficFacts} has them, with {@link ownCard}
 * @param now milliseconds, by a clock that only grows
 */
export function nextLongRates(
  before: LongRates | undefined,
  rates: ReadonlyMap<string, CardRate>,
  now: number,
): { rates: LongRates; minute: CapacityCards | undefined } {
  const decay = before ? Math.exp(-(now - before.at) / usualMs) : 1;
  const ends = before !== undefined && now - before.minuteSince >= minuteMs;
  const looks = (before?.looks ?? 0) + 1;
  const cards = new Map<string, LongRate>();
  for (const [name, card] of before?.cards ?? []) if (now - card.at <= forgetMs) cards.set(name, card);
  for (const [name, { speedMbit, txMbit, ageMs }] of rates) {
    if (ageMs > freshMs) continue;
    const of = cards.get(name);
    cards.set(name, {
      speedMbit: speedMbit ?? of?.speedMbit ?? null,
      sum: (of?.sum ?? 0) * decay + txMbit * (1 - decay),
      weight: (of?.weight ?? 0) * decay + 1 - decay,
      minuteSum: (of?.minuteSum ?? 0) + txMbit,
      minuteLooks: (of?.minuteLooks ?? 0) + 1,
      at: now,
    });
  }
  if (!ends) return { rates: { cards, minuteSince: before?.minuteSince ?? now, looks, at: now }, minute: undefined };
  const minute = new Map<string, CapacityCard>();
  for (const [name, card] of cards) {
    const { minuteSum, minuteLooks } = card;
    const txMbit = minuteLooks >= looks * mostShare ? minuteSum / minuteLooks : null;
    minute.set(name, { speedMbit: card.speedMbit, txMbit, usualMbit: usualOf(card) });
    cards.set(name, { ...card, minuteSum: 0, minuteLooks: 0 });
  }
  return { rates: { cards, minuteSince: now, looks: 0, at: now }, minute };
}

/** The cards as they are now. */
export function cardsNow(long: LongRates | undefined, rates: ReadonlyMap<string, CardRate>): CapacityCards {
  const cards = new Map<string, CapacityCard>();
  for (const [name, card] of long?.cards ?? [])
    cards.set(name, { speedMbit: card.speedMbit, txMbit: null, usualMbit: usualOf(card) });
  for (const [name, { speedMbit, txMbit, ageMs }] of rates) {
    const of = cards.get(name);
    cards.set(name, {
      speedMbit: speedMbit ?? of?.speedMbit ?? null,
      txMbit: ageMs <= freshMs ? txMbit : null,
      usualMbit: of?.usualMbit ?? 0,
    });
  }
  return cards;
}

const usualOf = ({ sum, weight }: LongRate): number => (weight > 0 ? sum / weight : 0);
