import { createSignal, type Signal } from '../loop.ts';
import type { Event } from '../schema.ts';

/** The last things that happened, oldest first; bounded. */
export interface Events {
  add(type: string, message: string, about?: Pick<Event, 'pool' | 'realServer' | 'vip' | 'agent'>): void;
  /** Those after the one with this id; all that are kept without it. */
  since(id?: number): Event[];
  added: Signal;
}

/**
 * @param logged told each event, for the log
 * @param limit how many are kept
 */
export function createEvents(logged: (event: Event) => void, now = Date.now, limit = 1000): Events {
  const kept: Event[] = [];
  const added = createSignal();
  // Ids grow over restarts too, unless the clock went back by more than the time between.
  let id = now() * 1000;
  return {
    added,
    add: (type, message, about = {}) => {
      const event: Event = { id: ++id, time: new Date(now()).toISOString(), type, message, ...about };
      kept.push(event);
      if (kept.length > limit) kept.shift();
      logged(event);
      added.notify();
    },
    since: (after = -1) => kept.filter((event) => event.id > after),
  };
}
