import { performance } from 'node:perf_hooks';
import type { BalanceFacts } from '../core/balance.ts';
import type { HeadroomCard } from '../core/headroom.ts';
import type { ServiceId, Traffic } from '../core/kernel-state.ts';
import {
  type CardRate,
  cardRate,
  cardRestarted,
  forgetMs,
  lostShareOf,
  type MeteredCard,
  type Sample,
  type ServiceRate,
  serviceRate,
  serviceRestarted,
  type TrafficFacts,
  trafficView,
  withSample,
} from '../core/traffic.ts';
import type { Kernel } from '../kernel/kernel.ts';
import { createSignal, type Signal, startLoop } from '../loop.ts';
import type { Report } from '../schema.ts';

/** How full cards are, by the latest word of each host. */
export type CardSource = () => Pick<BalanceFacts, 'cards' | 'ownCard'>;

/** What goes through the director and, by their agents' word, through the real servers. */
export interface TrafficBook {
  /** Takes what an agent reports. */
  take(name: string, report: Pick<Report, 'card' | 'connections' | 'clock'>): void;
  facts(): TrafficFacts;
  /** The counters themselves, of the director's card, of the real servers' and of services. */
  counters(): TrafficCounters;
  /** What the balance by headroom goes by. */
  cards: CardSource;
  /** Real servers by the Ethernet addresses of their cards. */
  names(): Map<string, string>;
  /** After each look at the director's own counters. */
  looked: Signal;
  stop(): Promise<void>;
}

export interface TrafficCounters {
  director: MeteredCard | undefined;
  realServers: ReadonlyMap<string, MeteredCard>;
  services: ReadonlyMap<string, { id: ServiceId; traffic: Traffic }>;
}

export interface TrafficOptions {
  kernel: Pick<Kernel, 'card' | 'cardSpeed' | 'serviceConfigs'>;
  interface: string;
  /** Of the interface; undefined: what its driver says. */
  speedMbit: number | undefined;
  log: { warn(keys: object, message: string): void };
}

const lookMs = 1000;
/** Thousands of services are looked at no oftener than 5 % of a core allows. */
const lookShare = 20;

/** By the clocks of both hosts, which may differ: more than this is taken for such a difference, and says nothing. */
const mostLateMs = 3000;

interface RealServer {
  samples: Sample<MeteredCard>[];
  connections: Report['connections'];
  /** When it came, by this host's clock. */
  takenAt: number;
  /** How long it was on its way, milliseconds. */
  lateMs: number;
}

export function startTraffic(options: TrafficOptions, steady = () => performance.now()): TrafficBook {
  const { kernel } = options;
  const realServers = new Map<string, RealServer>();
  const looked = createSignal();
  let director: Sample<MeteredCard>[] = [];
  let samples = new Map<string, Sample<Traffic>[]>();
  let services: TrafficCounters['services'] = new Map();
  let rates: ReadonlyMap<string, ServiceRate> = new Map();

  const look = async (): Promise<number> => {
    const began = steady();
    const card = kernel.card(options.interface);
    const speedMbit = options.speedMbit ?? kernel.cardSpeed(options.interface) ?? null;
    director = card ? withSample(director, { at: began, counters: { ...card, speedMbit } }, cardRestarted) : [];
    services = await kernel.serviceConfigs();
    samples = new Map(
      [...services].map(([key, { traffic }]) => [
        key,
        withSample(samples.get(key) ?? [], { at: began, counters: traffic }, serviceRestarted),
      ]),
    );
    rates = new Map(
      [...samples].flatMap(([key, of]) => {
        const rate = serviceRate(of);
        return rate ? [[key, rate]] : [];
      }),
    );
    for (const [name, { takenAt }] of realServers) if (began - takenAt > forgetMs) realServers.delete(name);
    looked.notify();
    return Math.max(lookMs, (steady() - began) * lookShare);
  };
  const loop = startLoop(look, (error, again) => {
    if (!again) options.log.warn({ err: error }, 'the traffic of this host cannot be read');
    director = [];
    rates = new Map();
  });
  loop.wake();

  return {
    take: (name, { card, connections, clock }) => {
      if (!card) {
        realServers.delete(name);
        return;
      }
      const { at, ...counters } = card;
      const before = realServers.get(name)?.samples ?? [];
      realServers.set(name, {
        samples: withSample(before, { at, counters }, cardRestarted),
        connections,
        takenAt: steady(),
        lateMs: latenessOf(clock),
      });
    },
    facts: () => {
      const now = steady();
      const cards = new Map<string, CardRate>();
      for (const [name, { samples, takenAt }] of realServers) {
        const rate = cardRate(samples, now - takenAt);
        if (rate) cards.set(name, rate);
      }
      const own = cardRate(director, now - (director.at(-1)?.at ?? now));
      return {
        view: trafficView(own, cards, rates.values()),
        services: rates,
        cards,
        connections: new Map([...realServers].map(([name, { connections }]) => [name, connections ?? {}])),
      };
    },
    counters: () => ({
      director: director.at(-1)?.counters,
      realServers: new Map(
        [...realServers].flatMap(([name, { samples }]) => samples.slice(-1).map(({ counters }) => [name, counters])),
      ),
      services,
    }),
    cards: () => {
      const now = steady();
      const own = cardRate(director, now - (director.at(-1)?.at ?? now));
      return {
        ownCard: own && headroomCard(own, director),
        cards: new Map(
          [...realServers].flatMap(([name, { samples, takenAt, lateMs }]) => {
            const rate = cardRate(samples, now - takenAt + lateMs);
            return rate ? [[name, headroomCard(rate, samples)]] : [];
          }),
        ),
      };
    },
    names: () =>
      new Map(
        [...realServers].flatMap(([name, { samples }]) =>
          samples.slice(-1).map(({ counters }) => [counters.mac, name]),
        ),
      ),
    looked,
    stop: loop.stop,
  };
}

const headroomCard = (
  { speedMbit, txMbit, ageMs }: CardRate,
  samples: readonly Sample<MeteredCard>[],
): HeadroomCard => ({
  speedMbit,
  txMbit,
  ageMs,
  lostShare: lostShareOf(samples),
});

/** How long a report was on its way, milliseconds; 0 where the clocks differ too much to tell. */
function latenessOf(clock: number | undefined): number {
  const late = Date.now() - (clock ?? Date.now());
  return late > 0 && late <= mostLateMs ? late : 0;
}
