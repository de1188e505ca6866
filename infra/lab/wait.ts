// Waiting for something to become true, with words for when it does not.
import { setTimeout as sleep } from 'node:timers/promises';

export interface WaitOptions {
  /** Ends "waited 10 s for ...". */
  what: string;
  /** Default 180,000 ms: a busy machine is no failure. */
  timeoutMs?: number;
  /** Pause between two looks. Default 50 ms. */
  everyMs?: number;
  /** Told when time is up: the tail of a log, say. */
  explain?: () => Promise<string> | string;
}

/** Asks until the answer is truthy, and gives it; an error counts as "not yet" and is told when time is up. */
export async function waitFor<T>(condition: () => Promise<T> | T, options: WaitOptions): Promise<NonNullable<T>> {
  const { what, timeoutMs = 180_000, everyMs = 50, explain } = options;
  const end = performance.now() + timeoutMs;
  for (;;) {
    let problem = '';
    try {
      const answer = await condition();
      if (answer) return answer;
    } catch (error) {
      problem = `: ${(error as Error).message}`;
    }
    if (performance.now() > end) {
      const explanation = explain ? `\n${await explain()}` : '';
      throw new Error(`waited ${timeoutMs / 1000} s for ${what}${problem}${explanation}`);
    }
    await sleep(everyMs);
  }
}
