import { isDeepStrictEqual } from 'node:util';
import type { CardCounters, Traffic } from './kernel-state.ts';

/** How much goes through one card. */
export interface CardRate {
  interface: string;
  /** In each direction, Mbit/s; null where it is not known. */
  speedMbit: number | null;
  rxMbit: number;
  txMbit: number;
  rxPacketsPerSecond: number;
  txPacketsPerSecond: number;
  /** Packets with errors and packets dropped, both directions, a second. */
  lostPerSecond: number;
  /** The fuller direction against the speed, in percent; null where the speed is not known. */
  loadPercent: number | null;
  fuller: 'rx' | 'tx';
  /** Age of the newest figure, milliseconds. */
  ageMs: number;
}

/** How much comes in for one service: the director sees the requests only. */
export interface ServiceRate {
  connectionsPerSecond: number;
  packetsPerSecond: number;
  requestsMbit: number;
}

/** The card that is the fullest. */
export interface Bottleneck {
  /** "director", or the name of a real server. */
  host: string;
  direction: 'rx' | 'tx';
  loadPercent: number;
  /** There is little left of it: more traffic would not go through. */
  full: boolean;
}

/** Both halves of the traffic: requests by way of the director, replies by the real servers' cards. */
export interface TrafficView {
  director: CardRate | null;
  /** By name; a real server whose agent has not been heard of for {@link freshMs} is left out. */
  realServers: Record<string, CardRate>;
  /** Requests that IPVS forwards, of all services. */
  requests: ServiceRate | null;
  /** What leaves the real servers, Mbit/s. */
  repliesMbit: number;
  /** Share of the director's card in all bytes that leave, forwarded requests included, in percent; null when none do. */
  directorSharePercent: number | null;
  bottleneck: Bottleneck | null;
}

/** Counters at one time. */
export interface Sample<T> {
  /** By a clock that only grows, of whoever counted, milliseconds. */
  at: number;
  counters: T;
}

/** What is known of the traffic at one time. */
export interface TrafficFacts {
  view: TrafficView;
  /** By service key. */
  services: ReadonlyMap<string, ServiceRate>;
  /** By real server. */
  cards: ReadonlyMap<string, CardRate>;
  /** Established connections by real server, VIP and port. */
  connections: ReadonlyMap<string, Readonly<Record<string, Readonly<Record<string, number>>>>>;
}

/** Nothing is heard of a host for so long: its figures are of no use any more. */
export const forgetMs = 60_000;
/** Figures older than this are not shown as live. */
export const freshMs = 3500;
/** From this load on a card counts as full. */
const fullPercent = 85;
/** Rates are over at least this long, or the counters' own steps show. */
const leastMs = 900;
const keptMs = 7000;
const estimatorMs = 2000;

/** The samples with a new one; those that rates no longer need are dropped. After a restart of the counters only the new one. */
export function withSample<T>(
  samples: readonly Sample<T>[],
  sample: Sample<T>,
  isRestart: (before: T, after: T) => boolean,
): Sample<T>[] {
  const last = samples.at(-1);
  if (last && (sample.at < last.at || isRestart(last.counters, sample.counters))) return [sample];
  if (last && sample.at === last.at) return [...samples];
  // Where looks are rare the last one is all there is to compare with.
  return [...samples.filter((of) => of === last || sample.at - of.at <= keptMs), sample];
}

/** The newest sample and the newest that is old enough to compare it with. */
function span<T>(samples: readonly Sample<T>[]): { before: T; after: T; seconds: number } | undefined {
  const after = samples.at(-1);
  const before = after && samples.findLast(({ at }) => after.at - at >= leastMs);
  return before && { before: before.counters, after: after.counters, seconds: (after.at - before.at) / 1000 };
}

const mbit = (bytes: number, seconds: number) => round((bytes * 8) / 1e6 / seconds);
const round = (value: number) => Math.round(value * 1000) / 1000;

/** What a card counted, and its speed. */
export interface MeteredCard extends CardCounters {
  /** Mbit/s; null where it is not known. */
  speedMbit: number | null;
}

export const cardRestarted = (before: CardCounters, after: CardCounters): boolean =>
  before.interface !== after.interface || after.rxBytes < before.rxBytes || after.txBytes < before.txBytes;

/** Undefined until there are two samples far enough apart. */
export function cardRate(samples: readonly Sample<MeteredCard>[], ageMs: number): CardRate | undefined {
  const found = span(samples);
  if (!found) return undefined;
  const { before, after, seconds } = found;
  const rxMbit = mbit(after.rxBytes - before.rxBytes, seconds);
  const txMbit = mbit(after.txBytes - before.txBytes, seconds);
  const lost = after.rxLost + after.txLost - before.rxLost - before.txLost;
  const { speedMbit } = after;
  return {
    interface: after.interface,
    speedMbit,
    rxMbit,
    txMbit,
    rxPacketsPerSecond: Math.round((after.rxPackets - before.rxPackets) / seconds),
    txPacketsPerSecond: Math.round((after.txPackets - before.txPackets) / seconds),
    lostPerSecond: Math.max(0, Math.round(lost / seconds)),
    loadPercent: speedMbit === null ? null : Math.round((Math.max(rxMbit, txMbit) / speedMbit) * 1000) / 10,
    fuller: rxMbit > txMbit ? 'rx' : 'tx',
    ageMs: Math.max(0, Math.round(ageMs)),
  };
}

/** Of the packets that were to leave by a card, the part that did not, by errors and drops; 0 to 1. */
export function lostShareOf(samples: readonly Sample<MeteredCard>[]): number {
  const found = span(samples);
  if (!found) return 0;
  const { before, after } = found;
  const lost = Math.max(0, after.txLost - before.txLost);
  const all = lost + Math.max(0, after.txPackets - before.txPackets);
  return all > 0 ? lost / all : 0;
}

export const serviceRestarted = (before: Traffic, after: Traffic): boolean =>
  after.connections < before.connections || after.bytesIn < before.bytesIn;

/**
 * Undefined until there are two samples far enough apart. The kernel brings these counters up to date every two seconds
 * (estimation_timer in net/netfilter/ipvs/ip_vs_est.c), so that looks in between see none of the traffic, or all of it.
 */
export function serviceRate(samples: readonly Sample<Traffic>[]): ServiceRate | undefined {
  if (!span(samples)) return undefined;
  const differs = (i: number) =>
    samples[i - 1] && samples[i] && !isDeepStrictEqual(samples[i - 1]?.counters, samples[i]?.counters);
  const step = samples.findLastIndex((_, i) => differs(i));
  const last = samples.at(-1);
  const after = samples[step];
  // Where it changes from look to look, two of them are one step.
  const near =
    step > 1 && differs(step - 1) && (samples[step]?.at ?? 0) - (samples[step - 1]?.at ?? 0) < estimatorMs - 100;
  const before = samples[near ? step - 2 : step - 1];
  if (!last || !after || !before || last.at - after.at > 1.5 * estimatorMs) return none;
  const seconds = Math.max(estimatorMs, after.at - before.at) / 1000;
  return {
    connectionsPerSecond: Math.round((after.counters.connections - before.counters.connections) / seconds),
    packetsPerSecond: Math.round((after.counters.packetsIn - before.counters.packetsIn) / seconds),
    requestsMbit: mbit(after.counters.bytesIn - before.counters.bytesIn, seconds),
  };
}

const none: ServiceRate = { connectionsPerSecond: 0, packetsPerSecond: 0, requestsMbit: 0 };

/** Both halves in one view. */
export function trafficView(
  director: CardRate | undefined,
  cards: ReadonlyMap<string, CardRate>,
  services: Iterable<ServiceRate>,
): TrafficView {
  const realServers = Object.fromEntries([...cards].filter(([, { ageMs }]) => ageMs <= freshMs));
  const repliesMbit = round(Object.values(realServers).reduce((sum, { txMbit }) => sum + txMbit, 0));
  const left = repliesMbit + (director?.txMbit ?? 0);
  return {
    director: director ?? null,
    realServers,
    requests: director ? sumOf(services) : null,
    repliesMbit,
    directorSharePercent: director && left > 0 ? round((director.txMbit / left) * 100) : null,
    bottleneck: bottleneckOf([...(director ? [['director', director] as const] : []), ...Object.entries(realServers)]),
  };
}

function sumOf(services: Iterable<ServiceRate>): ServiceRate {
  const sum: ServiceRate = { connectionsPerSecond: 0, packetsPerSecond: 0, requestsMbit: 0 };
  for (const rate of services) {
    sum.connectionsPerSecond += rate.connectionsPerSecond;
    sum.packetsPerSecond += rate.packetsPerSecond;
    sum.requestsMbit = round(sum.requestsMbit + rate.requestsMbit);
  }
  return sum;
}

function bottleneckOf(cards: readonly (readonly [string, CardRate])[]): Bottleneck | null {
  let found: Bottleneck | null = null;
  for (const [host, { loadPercent, fuller }] of cards)
    if (loadPercent !== null && loadPercent > (found?.loadPercent ?? 0))
      found = { host, direction: fuller, loadPercent, full: loadPercent >= fullPercent };
  return found;
}
