/** Pauses between starts: longer while they fail one after another. */
export interface Backoff {
  /** Milliseconds to wait after one more failure. */
  failed(): number;
  /** It has worked for a while: the next pause is a short one again. */
  worked(): void;
}

export function createBackoff(firstMs: number, mostMs: number): Backoff {
  let next = firstMs;
  return {
    failed() {
      const pause = next;
      next = Math.min(next * 2, mostMs);
      return pause;
    },
    worked() {
      next = firstMs;
    },
  };
}
