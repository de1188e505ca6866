import { performance } from 'node:perf_hooks';
import { dayOf } from '../core/capacity/peaks.ts';
import { type CapacityFacts, nextPeaks, pastOf } from '../core/capacity/pool.ts';
import { cardsNow, type LongRates, nextLongRates, ownCard } from '../core/capacity/rates.ts';
import { poolsOf, type State } from '../core/state.ts';
import { localAddressesOf } from '../core/status.ts';
import type { CardRate } from '../core/traffic.ts';
import { startLoop } from '../loop.ts';
import type { Document } from '../store/document.ts';
import type { KeptPeaks } from '../store/state.ts';
import type { Director } from './reconcile.ts';
import type { TrafficBook } from './traffic.ts';

/** How full the pools are, and how busy their days were. */
export interface CapacityBook {
  facts(): CapacityFacts;
  /** Resolves when what is known is on disk. */
  stop(): Promise<void>;
}

export interface CapacityOptions {
  traffic: Pick<TrafficBook, 'facts'>;
  director: Pick<Director, 'last'>;
  state: Pick<Document<State>, 'get'>;
  peaks: Document<KeptPeaks>;
  log: { warn(keys: object, message: string): void };
}

export interface Clocks {
  /** Milliseconds since the epoch. */
  wall(): number;
  /** Milliseconds by a clock that only grows. */
  steady(): number;
}

const lookMs = 1000;
/** A crash costs the peaks of so much time at most. */
const saveMs = 15 * 60_000;
const hostClocks: Clocks = { wall: Date.now, steady: () => performance.now() };

export function startCapacity(options: CapacityOptions, { wall, steady } = hostClocks): CapacityBook {
  const { traffic, director, state, log } = options;
  let { pools: peaks } = options.peaks.get();
  let pasts: CapacityFacts['pasts'] = new Map();
  let long: LongRates | undefined;
  let savedAt = steady();

  const ratesNow = (): ReadonlyMap<string, CardRate> => {
    const { view, cards } = traffic.facts();
    return view.director ? new Map([...cards, [ownCard, view.director]]) : cards;
  };
  const recall = (day: number) => {
    pasts = new Map(Object.entries(peaks).map(([pool, days]) => [pool, pastOf(days, day)]));
  };
  recall(dayOf(wall()));
  const save = () => {
    savedAt = steady();
    return options.peaks.change(() => ({ pools: peaks }));
  };
  const look = async () => {
    const { rates, minute } = nextLongRates(long, ratesNow(), steady());
    long = rates;
    const pass = director.last();
    if (!minute || !pass) return lookMs;
    const day = dayOf(wall());
    peaks = nextPeaks(peaks, poolsOf(state.get()), {
      standings: pass.standings,
      localAddresses: localAddressesOf(pass.look),
      minute,
      day,
    });
    recall(day);
    if (steady() - savedAt >= saveMs) await save();
    return lookMs;
  };
  const loop = startLoop(look, (error, again) => {
    if (!again) log.warn({ err: error }, 'how busy the days are cannot be kept');
  });
  loop.wake();

  return {
    facts: () => ({ cards: cardsNow(long, ratesNow()), pasts }),
    stop: async () => {
      await loop.stop();
      await save().catch((error: Error) => log.warn({ err: error }, 'how busy the days were is lost'));
    },
  };
}
