import type { Random } from './random.ts';

/** The destinations of one service, as a scheduler sees them; the same index is the same destination. */
export interface Destinations {
  /** 0 takes no new connections. */
  weight: Int32Array;
  /** Established connections. */
  active: Int32Array;
  /** Connections that have ended a while ago, which the kernel still remembers. */
  inactive: Int32Array;
}

/** Chooses the destination of a new connection; -1: none. */
export type Choose = () => number;

/** Told after weights have changed. */
export interface Scheduler {
  choose: Choose;
  changed(): void;
}

export const schedulerNames = ['rr', 'wrr', 'lc', 'wlc', 'sed', 'nq', 'mh'] as const;
export type SchedulerName = (typeof schedulerNames)[number];

/** The kernel's own schedulers, as net/netfilter/ipvs/ip_vs_*.c of Linux 6.1 choose. */
export function schedulerOf(name: SchedulerName, of: Destinations, random: Random): Scheduler {
  const changed = () => {};
  const least = (overhead: (i: number) => number) => ({ choose: () => leastBy(of, overhead), changed });
  const { active, inactive, weight } = of;
  const connections = (i: number) => (active[i] ?? 0) * 256 + (inactive[i] ?? 0);
  const delay = (i: number) => ((active[i] ?? 0) + 1) / (weight[i] ?? 0);
  if (name === 'lc') return least(connections);
  if (name === 'wlc') return least((i) => connections(i) / (weight[i] ?? 0));
  if (name === 'sed') return least(delay);
  if (name === 'nq') {
    const idle = () => active.findIndex((count, i) => count === 0 && (weight[i] ?? 0) > 0);
    return {
      choose: () => {
        const found = idle();
        return found >= 0 ? found : leastBy(of, delay);
      },
      changed,
    };
  }
  if (name === 'wrr') return weightedRoundRobin(of);
  if (name === 'rr') return roundRobin(of);
  return hashed(of, random);
}

/** The first of those with the least. */
function leastBy({ weight }: Destinations, overhead: (i: number) => number): number {
  let best = -1;
  let bestOverhead = Number.POSITIVE_INFINITY;
  for (let i = 0; i < weight.length; i++) {
    if ((weight[i] ?? 0) === 0) continue;
    const is = overhead(i);
    if (is < bestOverhead) {
      best = i;
      bestOverhead = is;
    }
  }
  return best;
}

function roundRobin({ weight }: Destinations): Scheduler {
  let last = -1;
  const choose = () => {
    for (let tries = 0; tries < weight.length; tries++) {
      last = (last + 1) % weight.length;
      if ((weight[last] ?? 0) > 0) return last;
    }
    return -1;
  };
  return { choose, changed: () => {} };
}

const divisor = (a: number, b: number): number => (b === 0 ? a : divisor(b, a % b));

/** ip_vs_wrr.c: rounds with a mark that sinks from the largest weight by their greatest common divisor. */
function weightedRoundRobin({ weight }: Destinations): Scheduler {
  let step = 1;
  let top = 0;
  let mark = 0;
  let last = -1;
  const changed = () => {
    step = weight.reduce((a, b) => divisor(a, b), 0) || 1;
    top = weight.reduce((a, b) => Math.max(a, b), 0) - (step - 1);
    last = -1;
    if (mark > top || mark === 0) mark = top;
    else if (step > 1) mark = Math.floor(mark / step) * step + 1;
  };
  changed();
  const choose = () => {
    if (top <= 0) return -1;
    for (;;) {
      for (last++; last < weight.length; last++) if ((weight[last] ?? 0) >= mark) return last;
      last = -1;
      mark -= step;
      if (mark <= 0) mark = top;
    }
  };
  return { choose, changed };
}

/** mh and sh take what the client's address and port hash to: a draw by weight. */
function hashed({ weight }: Destinations, random: Random): Scheduler {
  let total = 0;
  const changed = () => {
    total = weight.reduce((a, b) => a + b, 0);
  };
  changed();
  const choose = () => {
    let wanted = random.uniform() * total;
    for (let i = 0; i < weight.length; i++) {
      wanted -= weight[i] ?? 0;
      if (wanted < 0) return i;
    }
    return -1;
  };
  return { choose, changed };
}
