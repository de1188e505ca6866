import type { MarkedRoute } from '../kernel/routes.ts';

/** The mark of each real server while it has targets. */
export interface Marks {
  /** Counts one more target of a server; answers its route when the server is new. */
  take(address: string): MarkedRoute | undefined;
  /** Counts one target less; answers its route when it was the last. */
  release(address: string): MarkedRoute | undefined;
  of(address: string): number | undefined;
}

/** Marks are numbers of routing tables too: above those that have a meaning of their own (253 to 255, rt_tables). */
const FIRST = 1000;

export function createMarks(): Marks {
  const taken = new Map<string, { mark: number; targets: number }>();
  const free: number[] = [];
  let next = FIRST;
  return {
    take(address) {
      const known = taken.get(address);
      if (known) {
        known.targets++;
        return undefined;
      }
      const mark = free.pop() ?? next++;
      taken.set(address, { mark, targets: 1 });
      return { mark, gateway: address };
    },
    release(address) {
      const known = taken.get(address);
      if (!known || --known.targets > 0) return undefined;
      taken.delete(address);
      free.push(known.mark);
      return { mark: known.mark, gateway: address };
    },
    of: (address) => taken.get(address)?.mark,
  };
}
