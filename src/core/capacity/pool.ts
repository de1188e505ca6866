import type { Pool, Pools } from '../../schema.ts';
import type { Standings } from '../standings.ts';
import { type Forecast, forecastOf, inDays, type Trend, trendOf } from './forecast.ts';
import { type DayPeak, dateOf, type Peaks, withMinute } from './peaks.ts';
import type { CapacityCards } from './rates.ts';
import { carriedBy, type Member, membersOf, type Room, roomOf } from './room.ts';

/** What is known of cards and of days. */
export interface CapacityFacts {
  cards: CapacityCards;
  /** By pool. */
  pasts: ReadonlyMap<string, Past>;
}

/** What the days of a pool come to. */
export interface Past {
  trend: Trend;
  /** The busiest of the last seven days, today included. */
  peak: DayPeak | undefined;
}

const peakDays = 7;

export function pastOf(days: readonly DayPeak[], today: number): Past {
  let peak: DayPeak | undefined;
  for (const one of days)
    if (one.day <= today && one.day > today - peakDays && one.mbit >= (peak?.mbit ?? 0)) peak = one;
  return { trend: trendOf(days, today), peak };
}

/** The same in few words, where there are many pools. */
export interface CapacityBrief extends Pick<PoolCapacity, 'carriedMbit' | 'capacityMbit' | 'fullPercent'> {
  /** Whose card is full first. */
  first: string | null;
  peakPercent: number | null;
  fullInDays: number | null;
  withoutLargestPeakPercent: number | null;
}

export const briefOf = (of: PoolCapacity): CapacityBrief => ({
  carriedMbit: of.carriedMbit,
  capacityMbit: of.capacityMbit,
  fullPercent: of.fullPercent,
  first: of.first?.realServer ?? null,
  peakPercent: of.peak?.percent ?? null,
  fullInDays: of.forecast.fullInDays,
  withoutLargestPeakPercent: of.withoutLargest?.peakPercent ?? null,
});

const noPast = pastOf([], 0);

/** How full a pool is, and when it will be. All Mbit/s are of replies. */
export interface PoolCapacity {
  carriedMbit: number;
  /** What the real servers in service can send; null where the speed of a card is not known. */
  capacityMbit: number | null;
  fullPercent: number | null;
  /** Whose card is full first, and how full it is now. */
  first: { realServer: string; loadPercent: number | null } | null;
  /** The busiest minute of the last seven days, today included. */
  peak: { mbit: number; percent: number | null; on: string } | null;
  forecast: Forecast;
  /** What is left when the real server is lost that carries most. */
  withoutLargest: {
    realServer: string;
    capacityMbit: number;
    /** Of the peak. */
    peakPercent: number | null;
    fullInDays: number | null;
    fullOn: string | null;
    words: string;
  } | null;
  /** What the card of each real server in service can send for the pool; null where its speed is not known. */
  cards: Record<string, number | null>;
  words: string;
}

export function capacityOf(
  name: string,
  pool: Pool,
  facts: {
    standings: Standings;
    localAddresses: ReadonlySet<string>;
    capacity: CapacityFacts;
  },
): PoolCapacity {
  const { cards, pasts } = facts.capacity;
  const members = membersOf(pool, facts.standings.get(name), cards, facts.localAddresses);
  const room = roomOf(pool.balance, members);
  const capacityMbit = room ? round(room.capacityMbit) : null;
  const carriedMbit = round(carriedBy(members));
  const past = pasts.get(name) ?? noPast;
  const { peak, trend } = past;
  const first = members.find(({ name }) => name === room?.first);
  const of: Omit<PoolCapacity, 'words'> = {
    carriedMbit,
    capacityMbit,
    fullPercent: percentOf(carriedMbit, capacityMbit),
    first: first ? { realServer: first.name, loadPercent: loadOf(first) } : null,
    peak: peak ? { mbit: peak.mbit, percent: percentOf(peak.mbit, capacityMbit), on: dateOf(peak.day) } : null,
    forecast: forecastOf(trend, capacityMbit),
    withoutLargest: room ? without(pool, members, room, past) : null,
    cards: usableOf(pool.balance, members),
  };
  return { ...of, words: wordsOf(of, members) };
}

function without(
  pool: Pool,
  members: readonly Member[],
  { largest }: Room,
  past: Past,
): NonNullable<PoolCapacity['withoutLargest']> {
  const others = members.filter(({ name }) => name !== largest);
  const capacityMbit = round(roomOf(pool.balance, others)?.capacityMbit ?? 0);
  const { fullInDays, fullOn } = forecastOf(past.trend, capacityMbit);
  return {
    realServer: largest,
    capacityMbit,
    peakPercent: past.peak ? percentOf(past.peak.mbit, capacityMbit) : null,
    fullInDays,
    fullOn,
    words: `without ${largest} ${lossWords(capacityMbit, fullInDays, past)}`,
  };
}

function lossWords(capacityMbit: number, fullInDays: number | null, { peak, trend }: Past): string {
  if (capacityMbit === 0) return 'nothing is left';
  const left = `${mbitText(capacityMbit)} Mbit/s are left`;
  if (peak && peak.mbit >= capacityMbit) return `${left}, less than that peak`;
  if (fullInDays === 0) return `${left}, which the busiest days fill`;
  return fullInDays === null ? left : `${left}, full ${inDays(fullInDays, trend.today)}`;
}

function wordsOf(of: Omit<PoolCapacity, 'words'>, members: readonly Member[]): string {
  const { capacityMbit, carriedMbit, fullPercent, first, peak, forecast, withoutLargest } = of;
  if (members.length === 0) return 'no real server is in service: there is nothing to fill';
  if (capacityMbit === null || !first || !withoutLargest) {
    const unknown = members.filter(({ speedMbit }) => speedMbit === null);
    const whose = unknown.every(({ isLocal }) => isLocal) ? "the controller's" : "its agent's";
    return `how full it is cannot be said: the speed of the card of ${listed(unknown.map(({ name }) => name))} is not known; set speedMbit in ${whose} config where a card does not tell`;
  }
  const unheard = members.filter(({ txMbit }) => txMbit === null).map(({ name }) => name);
  return [
    `${mbitText(carriedMbit)} of ${mbitText(capacityMbit)} Mbit/s${fullPercent === null ? '' : ` (${Math.round(fullPercent)} %)`}`,
    ...(peak?.percent ? [`the last seven days' peak is ${mbitText(peak.mbit)} (${Math.round(peak.percent)} %)`] : []),
    ...(unheard.length === 0 ? [] : [`nothing is heard of the card of ${listed(unheard)}`]),
    `${first.realServer}'s card is full first`,
    forecast.words,
    withoutLargest.words,
  ].join('; ');
}

const most = 3;
const listed = (names: readonly string[]): string =>
  names.length <= most ? names.join(', ') : `${names.slice(0, most).join(', ')} and ${names.length - most} more`;

const loadOf = (member: Member | undefined): number | null =>
  member?.speedMbit && member.txMbit !== null ? round1((member.txMbit / member.speedMbit) * 100) : null;

/** With balance "headroom" a card of a smaller weight is never filled. */
function usableOf(balance: Pool['balance'], members: readonly Member[]): PoolCapacity['cards'] {
  const top = Math.max(...members.map(({ weight }) => weight));
  const most = ({ speedMbit, weight }: Member) =>
    speedMbit !== null && balance === 'headroom' ? (speedMbit * weight) / top : speedMbit;
  return Object.fromEntries(
    members.map((member) => {
      const mbit = most(member);
      return [member.name, mbit === null ? null : round(Math.max(0, mbit - member.ownMbit))];
    }),
  );
}

const percentOf = (mbit: number, capacityMbit: number | null): number | null =>
  capacityMbit ? round1((mbit / capacityMbit) * 100) : null;

const mbitText = (mbit: number): string => String(mbit < 10 ? round1(mbit) : Math.round(mbit));
const round1 = (value: number) => Math.round(value * 10) / 10;
const round = (value: number) => Math.round(value * 1000) / 1000;

/** The days of all pools after another minute; of pools that are gone nothing is kept. */
export function nextPeaks(
  before: Peaks,
  pools: Pools,
  {
    minute,
    day,
    ...facts
  }: { standings: Standings; localAddresses: ReadonlySet<string>; minute: CapacityCards; day: number },
): Peaks {
  return Object.fromEntries(
    Object.entries(pools).map(([name, pool]) => {
      const members = membersOf(pool, facts.standings.get(name), minute, facts.localAddresses);
      const isWhole = members.length > 0 && members.every(({ txMbit }) => txMbit !== null);
      const days = (Object.hasOwn(before, name) && before[name]) || [];
      return [name, withMinute(days, { day, mbit: carriedBy(members), isWhole })];
    }),
  );
}
