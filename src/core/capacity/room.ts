import type { Pool } from '../../schema.ts';
import type { PoolStandings } from '../standings.ts';
import { type CapacityCards, ownCard } from './rates.ts';

/** One real server in service, and its card. */
export interface Member {
  name: string;
  /** The operator's. */
  weight: number;
  speedMbit: number | null;
  /** What leaves by the card; null while it is not heard of. */
  txMbit: number | null;
  /** Of that, and of what usually leaves, what no client of the pool gets: the director's own ports. */
  ownMbit: number;
  usualMbit: number;
  /** It is the director itself. */
  isLocal: boolean;
}

/** How much a pool can send. */
export interface Room {
  capacityMbit: number;
  /** Whose card is full first. */
  first: string;
  /** Who carries the most of it when it is full. */
  largest: string;
}

/** The real servers of a pool that are in service. */
export function membersOf(
  pool: Pool,
  standings: PoolStandings | undefined,
  cards: CapacityCards,
  localAddresses: ReadonlySet<string>,
): Member[] {
  const found = Object.entries(pool.realServers).flatMap(([name, { address, weight }]) => {
    const standing = standings?.realServers.get(name);
    if (!standing?.serving || weight === 0) return [];
    const isLocal = localAddresses.has(address);
    const card = cards.get(isLocal ? ownCard : name);
    const { speedMbit = null, txMbit = null, usualMbit = 0 } = card ?? {};
    return [{ name, weight, speedMbit, txMbit, ownMbit: 0, usualMbit, isLocal, kernelWeight: standing.weight }];
  });
  const others = found.filter(({ isLocal, txMbit }) => !isLocal && txMbit !== null);
  const otherWeights = others.reduce((sum, { kernelWeight }) => sum + kernelWeight, 0);
  return found.map(({ kernelWeight, ...member }) => {
    if (!member.isLocal || otherWeights === 0) return member;
    // By its weight it sends so much of the pool; the rest is PHP, requests on their way, and so on.
    const share = kernelWeight / otherWeights;
    const own = Math.max(0, (member.txMbit ?? 0) - carriedBy(others) * share);
    const usual = others.reduce((sum, { usualMbit }) => sum + usualMbit, 0) * share;
    return { ...member, ownMbit: own, usualMbit: Math.min(member.usualMbit, usual) };
  });
}

/** What the pool's clients get, Mbit/s, of cards that are heard of. */
export const carriedBy = (members: readonly Member[]): number =>
  members.reduce((sum, { txMbit, ownMbit }) => sum + Math.max(0, (txMbit ?? 0) - ownMbit), 0);

/**
 * Undefined where the speed of a card is not known, or nobody is in service. Weights: full when the first card is, by the
 * shares that the cards usually have; by the configured ones where little was sent yet. Headroom: loads are kept in the
 * ratio of the weights, so that all cards of the largest weight are full at once.
 */
export function roomOf(balance: Pool['balance'], members: readonly Member[]): Room | undefined {
  const top = members.reduce((most, { weight }) => Math.max(most, weight), 0);
  const cards: Card[] = [];
  for (const { name, weight, speedMbit, ownMbit, usualMbit } of members) {
    if (speedMbit === null) return undefined;
    const mbit = balance === 'headroom' ? (speedMbit * weight) / top : speedMbit;
    const load = (usualMbit + ownMbit) / speedMbit / weight;
    cards.push({ name, weight, usualMbit, leftMbit: Math.max(0, mbit - ownMbit), load });
  }
  return balance === 'headroom' ? evenRoom(cards) : sharedRoom(cards);
}

interface Card {
  name: string;
  weight: number;
  usualMbit: number;
  /** Most that it can send for the pool. */
  leftMbit: number;
  /** How full it usually is, for its weight. */
  load: number;
}

function evenRoom(cards: readonly Card[]): Room | undefined {
  const first = mostOf(cards, ({ load }) => load);
  const largest = mostOf(cards, ({ leftMbit }) => leftMbit);
  return (
    first &&
    largest && { capacityMbit: sumOf(cards, ({ leftMbit }) => leftMbit), first: first.name, largest: largest.name }
  );
}

function sharedRoom(cards: readonly Card[]): Room | undefined {
  const usual = sumOf(cards, ({ usualMbit }) => usualMbit);
  const isMeasured = usual > leastUsual * sumOf(cards, ({ leftMbit }) => leftMbit);
  const share = ({ usualMbit, weight }: Card) => (isMeasured ? usualMbit : weight);
  const first = mostOf(cards, (card) => (card.leftMbit > 0 ? share(card) / card.leftMbit : Number.POSITIVE_INFINITY));
  const largest = mostOf(cards, share);
  if (!first || !largest) return undefined;
  const capacityMbit = first.leftMbit > 0 ? (first.leftMbit * sumOf(cards, share)) / share(first) : 0;
  return { capacityMbit, first: first.name, largest: largest.name };
}

/** Below this part of all cards shares are chance. */
const leastUsual = 0.02;

const sumOf = (cards: readonly Card[], read: (of: Card) => number): number =>
  cards.reduce((sum, card) => sum + read(card), 0);

/** The first of those with the most. */
function mostOf(cards: readonly Card[], read: (of: Card) => number): Card | undefined {
  let found: Card | undefined;
  for (const card of cards) if (!found || read(card) > read(found)) found = card;
  return found;
}
