import { setTimeout as sleep } from 'node:timers/promises';
import { createSignal, type Signal } from '../loop.ts';
import type { Event } from '../schema.ts';
import type { Document } from './document.ts';

/** The last things that happened, oldest first; bounded. */
export interface Events {
  add(type: string, message: string, about?: Pick<Event, 'pool' | 'realServer' | 'vip' | 'agent'>): void;
  /** Those after the one with this id; all that are kept without it. */
  since(id?: number): Event[];
  added: Signal;
  /** How many there were since the start, by type. */
  counts: ReadonlyMap<string, number>;
  /** Resolves when all that happened is on disk. */
  stop(): Promise<void>;
}

export interface KeptEvents {
  events: Event[];
}

/** Least time between two writes of the file, milliseconds. */
const saveMs = 1000;

/**
 * @param document what is kept over restarts; written soon after each event, so that a crash loses a second at most
 * @param logged told each event, for the log
 * @param limit how many are kept
 */
export function createEvents(
  document: Document<KeptEvents>,
  logged: (event: Event) => void,
  now = Date.now,
  limit = 1000,
): Events {
  const kept: Event[] = document.get().events.slice(-limit);
  const added = createSignal();
  const counts = new Map<string, number>();
  // Ids grow over restarts too, also when the clock went back.
  let id = Math.max(now() * 1000, kept.at(-1)?.id ?? 0);
  let saving: Promise<void> | undefined;
  let saved = id;
  const ending = new AbortController();
  const save = async () => {
    while (saved < id) {
      saved = id;
      // A disk that is full must not stop what else goes on; the next event tries again.
      await document.change(() => ({ events: [...kept] })).catch(() => {});
      await sleep(saveMs, undefined, { signal: ending.signal, ref: false }).catch(() => {});
    }
    saving = undefined;
  };
  return {
    added,
    counts,
    add: (type, message, about = {}) => {
      const event: Event = { id: ++id, time: new Date(now()).toISOString(), type, message, ...about };
      counts.set(type, (counts.get(type) ?? 0) + 1);
      kept.push(event);
      if (kept.length > limit) kept.shift();
      logged(event);
      added.notify();
      saving ??= save();
    },
    since: (after = -1) => kept.filter((event) => event.id > after),
    stop: async () => {
      ending.abort();
      await saving;
    },
  };
}
