import type { Check } from '../check-schema.ts';

/** How one probe ended. */
export interface Outcome {
  /**
   * ok: as the check wants it. refused: the kernel there answered that nothing listens. unreachable: nobody answers ARP
   * or ND for the real server, or a router said so. timeout: no answer in time. wrong: an answer, but not the wanted one.
   * broken: the probe itself could not be made; it says nothing of the real server.
   */
  kind: 'ok' | 'refused' | 'unreachable' | 'timeout' | 'wrong' | 'broken';
  /** What was found, in words; of a good one too ("answered 200 in 3 ms"). */
  words: string;
  /** When the certificate that was shown expires, milliseconds since the epoch. */
  certificateExpires?: number;
}

/** What the probes of one target come to. */
export interface Health {
  /** unknown: not enough answers yet to tell. */
  verdict: 'up' | 'down' | 'unknown';
  /**
   * The failure leaves no doubt: refused or unreachable, so that it counts against a limit on ejections too. Others may
   * be the fault of the network or of the check.
   */
  hard: boolean;
  /** The last outcome that decided, in words. */
  words: string;
  certificateExpires?: number;
  /** Outcomes in a row that speak against the verdict, or for one while it is unknown: of that many, which. */
  streak: { good: number; bad: number };
}

/** What the prober tells of one target, whenever it differs from what it told last. */
export interface Finding {
  key: string;
  health: Omit<Health, 'streak'>;
  /** Milliseconds since the epoch. */
  at: number;
}

export const unknownHealth: Health = {
  verdict: 'unknown',
  hard: false,
  words: 'not checked yet',
  streak: { good: 0, bad: 0 },
};

/**
 * Health after one more outcome. Up after `rise` good ones in a row, down after `fall` failures in a row; the first
 * outcome of all decides alone when it is good, so that a start takes no longer than it must. The words of a server
 * that is down follow the newest failure.
 */
export function nextHealth(
  health: Health,
  outcome: Outcome,
  check: Pick<Check, 'rise' | 'fall' | 'refusedAtOnce'>,
): Health {
  if (outcome.kind === 'broken') return health;
  const ok = outcome.kind === 'ok';
  const streak = ok
    ? { good: Math.min(health.streak.good + 1, check.rise), bad: 0 }
    : { good: 0, bad: Math.min(health.streak.bad + 1, check.fall) };
  const first = health.verdict === 'unknown' && health.streak.good === 0 && health.streak.bad === 0;
  const verdict = ok
    ? streak.good >= check.rise || first
      ? 'up'
      : health.verdict
    : streak.bad >= check.fall || (check.refusedAtOnce && outcome.kind === 'refused')
      ? 'down'
      : health.verdict;
  const speaks = (ok && verdict === 'up') || (!ok && verdict === 'down');
  const hard =
    verdict === 'down' && (speaks ? outcome.kind === 'refused' || outcome.kind === 'unreachable' : health.hard);
  const words = speaks || verdict === 'unknown' ? outcome.words : health.words;
  const expires = outcome.certificateExpires ?? health.certificateExpires;
  return { verdict, hard, words, streak, ...(expires !== undefined && { certificateExpires: expires }) };
}
