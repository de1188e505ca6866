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

/** A number above 0 and below 1 that depends on every character: two 32-bit FNV-1a rounds, each mixed as murmur3 ends. */
function unit(text: string): number {
  let a = 0x811c9dc5;
  let b = 0x9747b28c;
  for (let i = 0; i < text.length; i++) {
    const code = text.charCodeAt(i);
    a = Math.imul(a ^ code, 0x01000193);
    b = Math.imul(b ^ code, 0x85ebca6b);
  }
  const high = mix(a ^ (b >>> 16)) >>> 5;
  return (high * 2 ** 26 + (mix(b ^ a) >>> 6) + 0.5) / 2 ** 53;
}

function mix(h: number): number {
  const once = Math.imul(h ^ (h >>> 16), 0x85ebca6b);
  const twice = Math.imul(once ^ (once >>> 13), 0xc2b2ae35);
  return (twice ^ (twice >>> 16)) >>> 0;
}
