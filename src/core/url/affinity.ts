import { hash53 } from './hash.ts';

/**
 * The real servers in the order in which a path belongs to them, the first one its home: weighted rendezvous hashing
 * (Thaler and Ravishankar 1998; with weights as in Schindelhauer and Schomaker 2005). When a server leaves, only its own
 * paths move; when its weight grows, paths move only to it. Its share is its weight's.
 *
 * @param weights by real server; those with 0 are left out
 */
export function homesOf(path: string, weights: ReadonlyMap<string, number>): string[] {
  return [...weights]
    .filter(([, weight]) => weight > 0)
    .map(([name, weight]) => ({ name, score: -Math.log(unit(`${name}\n${path}`)) / weight }))
    .sort((a, b) => a.score - b.score || (a.name < b.name ? -1 : 1))
    .map(({ name }) => name);
}

/** Above 0 and below 1. */
const unit = (text: string): number => (hash53(text) + 0.5) / 2 ** 53;
