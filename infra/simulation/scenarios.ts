// The pools that schedulers are compared with, in the simulation and in the lab.
import type { Workload } from './workload.ts';

export interface Scenario {
  name: string;
  /** Against the speed of an ordinary card; the last quarter of a pool is what is different. */
  lastSpeed: number;
  /** Share of the last cards that other traffic of its host takes. */
  lastBusy: number;
  /** The last stop for so many seconds at the begin of each phase, and come back. */
  lastGoneSeconds: number;
  largeEvery?: number;
  /** Against the median size of the others. */
  medianShare?: number;
}

const plain = { lastSpeed: 1, lastBusy: 0, lastGoneSeconds: 0 };

export const scenarios: Readonly<Record<string, Scenario>> = {
  a: { ...plain, name: 'equal cards' },
  b: { ...plain, name: 'one card at a fifth of the speed', lastSpeed: 0.2 },
  c: { ...plain, name: 'one server busy with other egress', lastBusy: 0.4 },
  d: { ...plain, name: 'a tenth of the objects 100 x larger', largeEvery: 10, medianShare: 0.1 },
  e: { ...plain, name: 'one server returns after failure', lastGoneSeconds: 5 },
};

/** How the lab holds them. */
export const inLab = {
  /** So that the guest's one CPU has time to spare when the cards are full: what it does not carry, no scheduler does. */
  cardMbit: 25,
  medianBytes: 16_000,
  loads: [0.5, 0.75, 0.95],
  warmUpSeconds: 10,
  /** After each change of the load, before it is measured. */
  settleSeconds: 10,
  measuredSeconds: 20,
} as const;

/** Of keep-alive clients of mixed speed; what is asked for scales with the cards. */
export const workloadOf = (
  { largeEvery, medianShare = 1 }: Scenario,
  cardMbit: number,
  medianBytes: number,
): Workload => ({
  objects: {
    count: 500,
    medianBytes: medianShare * medianBytes,
    sigma: 1,
    zipf: 0.9,
    ...(largeEvery !== undefined && { largeEvery }),
  },
  requestsPerSession: 5,
  gapSeconds: 0.3,
  lingerSeconds: 2,
  clients: [0.5, 0.08, 0.02].map((share) => ({ mbit: share * cardMbit, share: 1 })),
});

export const speedsOf = ({ lastSpeed }: Scenario, cards: number, cardMbit: number): number[] =>
  Array.from({ length: cards }, (_, i) => (isLast(i, cards) ? cardMbit * lastSpeed : cardMbit));

export const isLast = (i: number, cards: number): boolean => i >= cards - Math.ceil(cards / 4);

/** Mbit/s that clients ask for so that the cards are so full in the mean, with what else leaves by them. */
export function askedMbit(scenario: Scenario, speeds: readonly number[], load: number): number {
  const sum = (of: readonly number[]) => of.reduce((all, speed) => all + speed, 0);
  return load * sum(speeds) - scenario.lastBusy * sum(speeds.filter((_, i) => isLast(i, speeds.length)));
}
