import { setImmediate } from 'node:timers/promises';
import type { Clock } from '../../src/check/runner.ts';

export interface FakeClock extends Clock {
  /** Lets time pass, call by call, and each call's consequences with it. */
  pass(ms: number): Promise<void>;
}

/** A clock that stands still until it is told. */
export function fakeClock(): FakeClock {
  let now = 0;
  const waiting = new Set<{ at: number; call: () => void }>();
  return {
    steady: () => now,
    now: () => 1_700_000_000_000 + now,
    after(ms, call) {
      const one = { at: now + ms, call };
      waiting.add(one);
      return () => waiting.delete(one);
    },
    async pass(ms) {
      const end = now + ms;
      for (;;) {
        await setImmediate();
        const next = [...waiting].sort((a, b) => a.at - b.at)[0];
        if (!next || next.at > end) break;
        waiting.delete(next);
        now = next.at;
        next.call();
      }
      now = end;
    },
  };
}
