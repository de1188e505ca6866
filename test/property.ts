import fc from 'fast-check';
import type { Test } from 'tap';

/** Seed of this process; set FC_SEED to the one that was printed to run the same cases again. */
export const seed = Number(process.env.FC_SEED ?? Math.floor(Math.random() * 2 ** 31));

/** How many times the usual number of cases; FC_TIMES=100 for a long search. */
const times = Number(process.env.FC_TIMES ?? 1);

/** Checks a property as one subtest and prints its seed; fast-check's own report names the smallest counterexample. */
export function holds<T>(t: Test, name: string, property: fc.IRawProperty<T>, numRuns = 100): void {
  t.test(name, async (t) => {
    t.comment(`FC_SEED=${seed}, ${numRuns * times} runs`);
    await fc.assert(property, { seed, numRuns: numRuns * times });
    t.pass(name);
  });
}
