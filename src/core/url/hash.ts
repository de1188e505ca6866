/** A whole number below 2^53 that depends on every character: two FNV-like rounds, mixed as murmur3 ends. No secret. */
export function hash53(text: string): number {
  let a = 0x811c9dc5;
  let b = 0x9747b28c;
  for (let i = 0; i < text.length; i++) {
    const code = text.charCodeAt(i);
    a = Math.imul(a ^ code, 0x01000193);
    b = Math.imul(b ^ code, 0x85ebca6b);
  }
  const high = mix(a ^ (b >>> 16)) >>> 5;
  return high * 2 ** 26 + (mix(b ^ a) >>> 6);
}

function mix(h: number): number {
  const once = Math.imul(h ^ (h >>> 16), 0x85ebca6b);
  const twice = Math.imul(once ^ (once >>> 13), 0xc2b2ae35);
  return (twice ^ (twice >>> 16)) >>> 0;
}
