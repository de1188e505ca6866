/** How much may be done: `perSecond` on average, `burst` at once. */
export interface Rate {
  perSecond: number;
  burst: number;
}

/** A token bucket: what is left of it, and when that was so, milliseconds. */
export interface Bucket {
  left: number;
  at: number;
}

/** Takes one out; undefined when it is empty. */
export function taken(bucket: Bucket | undefined, { perSecond, burst }: Rate, now: number): Bucket | undefined {
  const before = bucket ?? { left: burst, at: now };
  const left = Math.min(burst, before.left + (Math.max(0, now - before.at) * perSecond) / 1000);
  return left >= 1 ? { left: left - 1, at: now } : undefined;
}
