// A pool in numbers: cards that are shared by transfers, sessions that arrive whatever the pool does, the kernel's
// schedulers, and weights that follow from late reports. The same seed gives the same arrivals to every scheduler.
import { carry, type Transfer } from './card.ts';
import { type Random, randomOf } from './random.ts';
import { type Destinations, type SchedulerName, schedulerOf } from './schedulers.ts';
import { type Session, sessionsPerSecond, siteOf, type Workload } from './workload.ts';

export interface SimulatedCard {
  speedMbit: number;
  /** What else leaves by it at a time, Mbit/s; default nothing. */
  otherMbit?: (seconds: number) => number;
  /** Whether its host serves at a time; default always. One that stops loses its connections. */
  serves?: (seconds: number) => boolean;
}

/** What the weights are made from: the newest report that has come in. */
export interface Reported {
  /** Mean egress since the report before, Mbit/s. */
  txMbit: number;
  /** When it was measured, seconds. */
  at: number;
}

export interface SimulationOptions {
  seed: number;
  seconds: number;
  cards: readonly SimulatedCard[];
  workload: Workload;
  /** What is asked for at a time, Mbit/s in the mean. */
  askedMbit: (seconds: number) => number;
  scheduler: SchedulerName;
  /** Called once a second; answers the weights, 0 for a card whose host does not serve. */
  weights: (now: number, reports: readonly (Reported | undefined)[]) => readonly number[];
  reportDelaySeconds?: number;
}

export interface SimulationResult {
  /** Mbit/s by second, by card; everything that left it. */
  txMbit: number[][];
  /** Of every request: when its reply was there, seconds. */
  repliedAt: number[];
  /** Of every request: from the wish to the last byte, seconds. */
  took: number[];
  /** Requests without a reply: wanted when, and open until their host stopped or, infinite, the end. */
  unanswered: { wantedAt: number; until: number }[];
  connections: number;
  /** Connections that were refused, or lost with their host. */
  lost: number;
}

const stepSeconds = 0.02;
const stepsPerSecond = Math.round(1 / stepSeconds);
/** IPVS keeps a closed connection for so long: net/netfilter/ipvs/ip_vs_proto_tcp.c, FIN_WAIT and TIME_WAIT. */
const inactiveSeconds = 120;

interface Open {
  card: number;
  plan: Session;
  /** Requests that have been answered. */
  answered: number;
  /** When the next request is wanted, in steps. */
  wantedAt: number;
  isOver: boolean;
}

export function simulate(options: SimulationOptions): SimulationResult {
  const { cards, workload, reportDelaySeconds = 0 } = options;
  const site = siteOf(workload, options.seed);
  // Arrivals have their own randomness, so that they are the same whatever the scheduler draws.
  const arrivals = randomOf(options.seed + 1);
  const of = destinationsOf(options.weights(0, []));
  const scheduler = schedulerOf(options.scheduler, of, randomOf(options.seed + 2));
  const clientBytes = workload.clients.map(({ mbit }) => (mbit * 1e6 * stepSeconds) / 8);
  const transfers: (Transfer & { session: Open })[][] = cards.map(() => []);
  const sessions = cards.map(() => new Set<Open>());
  const wishes = calendar<Open>();
  const ends = calendar<Open>();
  const forgets = calendar<number>();
  const reports = calendar<Reported & { card: number }>();
  const known: (Reported | undefined)[] = cards.map(() => undefined);
  const sent = new Float64Array(cards.length);
  const isUp = cards.map(() => true);
  const result: SimulationResult = { txMbit: [], repliedAt: [], took: [], unanswered: [], connections: 0, lost: 0 };
  const nextArrival = arrivalsOf(arrivals, (seconds) => sessionsPerSecond(site, workload, options.askedMbit(seconds)));

  const open = (step: number): void => {
    const plan = site.session(arrivals);
    const card = scheduler.choose();
    result.connections++;
    if (card < 0) {
      result.lost++;
      return;
    }
    of.active[card] = (of.active[card] ?? 0) + 1;
    const session = { card, plan, answered: 0, wantedAt: step, isOver: false };
    sessions[card]?.add(session);
    wishes.add(step, session);
  };
  const close = (session: Open, step: number): void => {
    if (session.isOver) return;
    session.isOver = true;
    sessions[session.card]?.delete(session);
    of.active[session.card] = (of.active[session.card] ?? 0) - 1;
    of.inactive[session.card] = (of.inactive[session.card] ?? 0) + 1;
    forgets.add(step + inactiveSeconds * stepsPerSecond, session.card);
  };
  const replied = (session: Open, step: number): void => {
    result.repliedAt.push(step * stepSeconds);
    result.took.push((step + 1 - session.wantedAt) * stepSeconds);
    const gap = session.plan.gaps[session.answered++];
    if (gap === undefined) {
      ends.add(step + 1 + Math.round(workload.lingerSeconds * stepsPerSecond), session);
      return;
    }
    session.wantedAt = step + 1 + Math.round(gap * stepsPerSecond);
    wishes.add(session.wantedAt, session);
  };
  const loseAll = (card: number, step: number): void => {
    leaveUnanswered(card, step * stepSeconds);
    result.lost += sessions[card]?.size ?? 0;
    for (const session of sessions[card] ?? []) close(session, step);
    transfers[card]?.splice(0);
  };
  const leaveUnanswered = (card: number, until: number): void => {
    for (const { session } of transfers[card] ?? [])
      result.unanswered.push({ wantedAt: session.wantedAt * stepSeconds, until });
  };
  const ask = (session: Open, step: number): void => {
    if (session.isOver) return;
    if (!isUp[session.card]) {
      result.lost++;
      close(session, step);
      return;
    }
    const left = site.sizes[session.plan.objects[session.answered] ?? 0] ?? 0;
    transfers[session.card]?.push({ left, clientBytes: clientBytes[session.plan.client] ?? 0, session });
  };
  const send = (i: number, step: number): void => {
    const [card, list, now] = [cards[i], transfers[i], step * stepSeconds];
    if (!card || !list) return;
    const up = card.serves?.(now) ?? true;
    if (!up && isUp[i]) loseAll(i, step);
    isUp[i] = up;
    const room = (card.speedMbit * 1e6 * stepSeconds) / 8;
    const other = Math.min(0.9, (card.otherMbit?.(now) ?? 0) / card.speedMbit) * room;
    sent[i] = (sent[i] ?? 0) + other + (up ? carry(list, room - other, ({ session }) => replied(session, step)) : 0);
  };

  for (let step = 0; step < options.seconds * stepsPerSecond; step++) {
    for (const card of forgets.take(step)) of.inactive[card] = (of.inactive[card] ?? 0) - 1;
    for (const session of ends.take(step)) close(session, step);
    for (let n = nextArrival(step * stepSeconds); n > 0; n--) open(step);
    for (const session of wishes.take(step)) ask(session, step);
    for (let i = 0; i < cards.length; i++) send(i, step);
    for (const { card, ...report } of reports.take(step)) known[card] = report;
    if ((step + 1) % stepsPerSecond !== 0) continue;
    const at = (step + 1) / stepsPerSecond;
    const row = [...sent].map((bytes) => (bytes * 8) / 1e6);
    sent.fill(0);
    result.txMbit.push(row);
    // Agents have phases of their own, and each report comes in late.
    for (const [card, txMbit] of row.entries())
      reports.add(step + 1 + Math.round((reportDelaySeconds + (card % 10) / 10) * stepsPerSecond), {
        card,
        txMbit,
        at,
      });
    of.weight.set(options.weights(at, known));
    scheduler.changed();
  }
  for (let i = 0; i < cards.length; i++) leaveUnanswered(i, Number.POSITIVE_INFINITY);
  return result;
}

const destinationsOf = (weights: readonly number[]): Destinations => ({
  weight: Int32Array.from(weights),
  active: new Int32Array(weights.length),
  inactive: new Int32Array(weights.length),
});

/** How many arrive until a time, each time it is asked. */
function arrivalsOf(random: Random, perSecond: (seconds: number) => number): (seconds: number) => number {
  let next = 0;
  return (now) => {
    let count = 0;
    while (next <= now) {
      const rate = perSecond(next);
      // Where nothing arrives it is looked again.
      next += rate > 0 ? random.exponential(1 / rate) : 1;
      if (rate > 0) count++;
    }
    return count;
  };
}

/** Buckets of things that are due at a step. */
function calendar<T>() {
  const due = new Map<number, T[]>();
  return {
    add(step: number, thing: T): void {
      const list = due.get(step);
      if (list) list.push(thing);
      else due.set(step, [thing]);
    },
    take(step: number): readonly T[] {
      const list = due.get(step) ?? [];
      due.delete(step);
      return list;
    },
  };
}
