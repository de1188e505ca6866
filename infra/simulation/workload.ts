// What visitors of an image site ask for: drawn from a seed, so that every scheduler, simulated or real, gets the same.
import { type Random, randomOf, weightedDraw } from './random.ts';

export interface Workload {
  objects: { count: number; medianBytes: number; sigma: number; zipf: number; largeEvery?: number };
  requestsPerSession: number;
  /** Mean time between a reply and the next request of a session. */
  gapSeconds: number;
  /** A session stays open so long after its last reply. */
  lingerSeconds: number;
  /** Speeds of clients, Mbit/s, each with its share. */
  clients: readonly { mbit: number; share: number }[];
}

/** What one visitor does on one connection. */
export interface Session {
  /** Index into the workload's clients. */
  client: number;
  /** Indexes of the objects, one after the other. */
  objects: readonly number[];
  /** Seconds between a reply and the next request; one fewer than objects. */
  gaps: readonly number[];
}

export interface Site {
  /** Bytes by object. */
  sizes: readonly number[];
  /** Of a request. */
  meanBytes: number;
  session(random: Random): Session;
}

/** An object is at most so many times as large as the median: a log-normal tail has no end. */
const mostTimes = 200;
const largeTimes = 100;

/** Log-normal sizes, Zipf popularity. */
export function siteOf({ objects, clients, requestsPerSession, gapSeconds }: Workload, seed: number): Site {
  const random = randomOf(seed);
  const sizes = Array.from({ length: objects.count }, (_, i) => {
    const size = Math.round(Math.min(mostTimes, Math.exp(objects.sigma * random.normal())) * objects.medianBytes);
    const isLarge = objects.largeEvery !== undefined && i % objects.largeEvery === objects.largeEvery - 1;
    return isLarge ? size * largeTimes : size;
  });
  const popularity = sizes.map((_, i) => 1 / (i + 1) ** objects.zipf);
  const sum = popularity.reduce((a, b) => a + b, 0);
  const object = weightedDraw(popularity);
  const client = weightedDraw(clients.map(({ share }) => share));
  return {
    sizes,
    meanBytes: sizes.reduce((total, size, i) => total + (size * (popularity[i] ?? 0)) / sum, 0),
    session: (from) => {
      const requests = from.geometric(requestsPerSession);
      return {
        client: client(from),
        objects: Array.from({ length: requests }, () => object(from)),
        gaps: Array.from({ length: requests - 1 }, () => from.exponential(gapSeconds)),
      };
    },
  };
}

/** How many sessions begin a second, when so many Mbit/s are to be asked for in the mean. */
export const sessionsPerSecond = ({ meanBytes }: Site, { requestsPerSession }: Workload, mbit: number): number =>
  (mbit * 1e6) / 8 / (meanBytes * requestsPerSession);
