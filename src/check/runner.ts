import type { Finding } from '../core/health.ts';
import { type Health, nextHealth, type Outcome, unknownHealth } from '../core/health.ts';
import type { Target } from '../core/targets.ts';
import { firstDelay, nextDelay } from './schedule.ts';
import { newsOf, type Told } from './tell.ts';

/** A target by its key, and what was found of it before this process began. */
export interface KeyedTarget {
  key: string;
  target: Target;
  before?: Finding['health'];
}

export interface Clock {
  /** Milliseconds that only grow. */
  steady(): number;
  /** Milliseconds since the epoch. */
  now(): number;
  /** Calls back after some milliseconds; answers what to call to be rid of it. */
  after(ms: number, call: () => void): () => void;
}

export interface RunnerOptions {
  /** Makes one probe; ends soon after the signal. */
  probe: (target: Target, signal: AbortSignal) => Promise<Outcome>;
  tell: (finding: Finding) => void;
  clock: Clock;
  /** Answers 0 to below 1. */
  random: () => number;
  /** How many probes may be under way at once. */
  limit: number;
}

/** Checks targets, each at its own pace and never twice at once. */
export interface Runner {
  add(targets: readonly KeyedTarget[]): void;
  remove(keys: readonly string[]): void;
  /** Since the last call: how many probes ended, how many of them were broken, and what one of those said. */
  count(): ProbeCount;
  stop(): void;
}

export interface ProbeCount {
  probes: number;
  broken: number;
  words: string;
}

/** Longest time between two checks of a target of which nothing is known yet. */
const UNKNOWN_MS = 1000;

/** After the time of a probe is over it must end within this; else it is given up. */
const GRACE_MS = 1000;

interface Entry extends KeyedTarget {
  health: Health;
  told: Told | undefined;
  /** Ends the probe that is under way. */
  abort: (() => void) | undefined;
  /** The next one is due although this one is still under way. */
  due: boolean;
  cancelNext: () => void;
}

export function startRunner({ probe, tell, clock, random, limit }: RunnerOptions): Runner {
  const entries = new Map<string, Entry>();
  const queue = new Set<Entry>();
  let underWay = 0;
  let count: ProbeCount = { probes: 0, broken: 0, words: '' };

  function isDue(entry: Entry): void {
    if (entry.abort) entry.due = true;
    else if (underWay < limit && queue.size === 0) run(entry);
    else queue.add(entry);
  }

  function run(entry: Entry): void {
    entry.due = false;
    const { check } = entry.target;
    const delay = nextDelay(check, random);
    // Nobody waits an hour for the second check of a server whose VIP was not there yet at the first.
    const due = entry.health.verdict === 'unknown' ? Math.min(delay, UNKNOWN_MS) : delay;
    entry.cancelNext = clock.after(due, () => isDue(entry));
    underWay++;
    oneProbe(entry).then((outcome) => {
      underWay--;
      entry.abort = undefined;
      if (entries.get(entry.key) === entry) {
        ended(entry, outcome);
        if (entry.due) isDue(entry);
      }
      for (const next of queue) {
        if (underWay >= limit) break;
        queue.delete(next);
        run(next);
      }
    });
  }

  /** Answers after the probe has ended, or when it has outlasted its grace; never rejects. */
  function oneProbe(entry: Entry): Promise<Outcome> {
    const { target } = entry;
    const { timeoutMs } = target.check;
    const time = new AbortController();
    return new Promise((resolve) => {
      let cancel = clock.after(timeoutMs, () => {
        cancel = clock.after(GRACE_MS, () => end({ kind: 'broken', words: 'the check did not end in its time' }));
        time.abort(new DOMException(`no answer in ${timeoutMs} ms`, 'TimeoutError'));
      });
      const end = (outcome: Outcome) => {
        cancel();
        resolve(outcome);
      };
      entry.abort = () => time.abort(new DOMException('no longer to be checked', 'AbortError'));
      probe(target, time.signal).then(end, (error: unknown) =>
        end({ kind: 'broken', words: `the check failed: ${error instanceof Error ? error.message : error}` }),
      );
    });
  }

  function ended(entry: Entry, outcome: Outcome): void {
    count.probes++;
    if (outcome.kind === 'broken') {
      count.broken++;
      count.words = outcome.words;
      return;
    }
    entry.health = nextHealth(entry.health, outcome, entry.target.check);
    const steady = clock.steady();
    const news = newsOf(entry.health, entry.told, steady);
    if (!news) return;
    entry.told = { health: news, at: steady };
    tell({ key: entry.key, health: news, at: clock.now() });
  }

  function remove(key: string): void {
    const entry = entries.get(key);
    if (!entry) return;
    entries.delete(key);
    queue.delete(entry);
    entry.cancelNext();
    entry.abort?.();
  }

  return {
    add(targets) {
      for (const keyed of targets) {
        if (entries.has(keyed.key)) continue;
        const { before } = keyed;
        const entry: Entry = {
          ...keyed,
          health: before ? { ...before, streak: { good: 0, bad: 0 } } : unknownHealth,
          told: before && { health: before, at: Number.NEGATIVE_INFINITY },
          abort: undefined,
          due: false,
          cancelNext: () => {},
        };
        entries.set(keyed.key, entry);
        entry.cancelNext = clock.after(firstDelay(keyed.target.check, random), () => isDue(entry));
      }
    },
    remove: (keys) => keys.forEach(remove),
    count() {
      const counted = count;
      count = { probes: 0, broken: 0, words: '' };
      return counted;
    },
    stop: () => [...entries.keys()].forEach(remove),
  };
}
