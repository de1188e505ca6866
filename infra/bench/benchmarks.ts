/** A benchmark is infra/bench/NAME.ts, run in a guest: node NAME.ts RESULT ROUNDS [PART] [FLAG...]; see rounds.ts. */
export interface Benchmark {
  what: string;
  /** How long ten rounds take on a quiet machine. */
  takes: string;
  /** Each has a guest and a result of its own, in this order. */
  parts?: readonly string[];
  /** Debian packages besides the lab's. */
  packages?: string[];
  /** Its own flags. */
  flags?: Record<`--${string}`, Flag>;
}

interface Flag {
  means: string;
  /** Options that say nothing beside it, as commander calls them. */
  without: string[];
  /** Those that are run with it when none is named. */
  parts?: readonly string[];
}

export const resultName = (benchmark: string, part: string): string => (part ? `${benchmark}-${part}` : benchmark);

export const benchmarks: Record<string, Benchmark> = {
  traffic: {
    what: 'images from three real servers with 100 Mbit cards: through the controller, ipvsadm, keepalived and HAProxy',
    takes: '6 minutes',
    packages: ['keepalived'],
  },
  programming: {
    what: '1,000 services x 10 destinations from empty: the controller beside ipvsadm -R; memory of its programs',
    takes: '6 minutes',
  },
  failover: {
    what: 'how long a real server that fails still gets new connections: the controller, keepalived, ldirectord',
    takes: '10 minutes',
    packages: ['keepalived', 'ldirectord'],
  },
  evenness: {
    what: 'how evenly the cards of four real servers are filled: rr, wrr, lc, wlc, sed, nq, mh, and weights by headroom',
    takes: '14 minutes a round and scenario',
    parts: ['a', 'c', 'd', 'e', 'b'],
    flags: {
      '--quick': {
        means: 'a and c if none is named, four schedulers, one load, one round: 5 minutes; no evidence',
        without: ['readme', 'rounds'],
        parts: ['a', 'c'],
      },
      '--simulate': {
        means: 'not in the lab but in numbers: what weights by headroom drive, and 1,000 real servers: 6 minutes',
        without: ['readme', 'rounds', 'quick'],
      },
    },
  },
  api: {
    what: 'one change until the kernel has it, and a look at the state: the API, ipvsadm, keepalived, ldirectord, HAProxy',
    takes: '15 minutes',
    packages: ['keepalived', 'ldirectord'],
  },
  url: {
    what: 'images by the rules of a URL policy: every engine, HAProxy with the same rules, and a policy by port',
    takes: '25 minutes',
  },
  checks: {
    what: 'how long a read of the status takes beside few checks, and beside as many as go up to a thousand a second',
    takes: '8 minutes',
  },
};
