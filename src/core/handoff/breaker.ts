/** How hand-offs to one real server went of late. */
export interface Breaker {
  /** In a row. */
  failures: number;
  /** Until then nothing is tried, milliseconds of the caller's clock. */
  shutUntil: number;
}

export const newBreaker: Breaker = { failures: 0, shutUntil: 0 };

const mostFailures = 3;
const shutMs = 5000;

export const mayTry = ({ shutUntil }: Breaker, now: number): boolean => now >= shutUntil;

/** After a try: one success forgives all; after three failures in a row, and after each further one, it is left alone for 5 s. */
export function after({ failures }: Breaker, succeeded: boolean, now: number): Breaker {
  if (succeeded) return newBreaker;
  const count = failures + 1;
  return { failures: count, shutUntil: count >= mostFailures ? now + shutMs : 0 };
}
