// A pool in numbers: cards that are shared by transfers, sessions that arrive whatever the pool does, the kernel's
// schedulers, and weights that follow from late reports. The same seed gives the same arrivals to every scheduler.
import { type Random, randomOf, weightedDraw } from './random.ts';
import { type Destinations, type SchedulerName, schedulerOf } from './schedulers.ts';

export interface SimulatedCard {
  speedMbit: number;
  /** What else leaves by it at a time, Mbit/s; default nothing. */
  otherMbit?: (seconds: number) => number;
  /** Whether its host serves at a time; default always. One that stops loses its connections. */
  serves?: (seconds: number) => boolean;
}

export interface Workload {
  /** Bytes that arrive, against the speed of all cards. */
  load: number;
  objects: { count: number; medianBytes: number; sigma: number; zipf: number; largeEvery?: number };
  requestsPerSession: number;
  /** Mean time between requests of a session. */
  gapSeconds: number;
  /** A session stays open so long after its last reply. */
  lingerSeconds: number;
  /** Speeds of clients, Mbit/s, each with its share. */
  clients: readonly { mbit: number; share: number }[];
}

/** What the weights are made from: the newest reports that have come in. */
export interface Reported {
  /** Index of the card. */
  card: number;
  /** Mean egress between its last two reports, Mbit/s. */
  txMbit: number;
  /** When it was measured, seconds. */
  at: number;
}

export interface SimulationOptions {
  seed: number;
  seconds: number;
  /** How long it runs before it is measured. */
  warmUpSeconds: number;
  cards: readonly SimulatedCard[];
  workload: Workload;
  scheduler: SchedulerName;
  /** Weights of the start. */
  weights: readonly number[];
  /** Called once a second; answers the new weights. */
  control?: (
    now: number,
    reports: readonly (Reported | undefined)[],
    of: Destinations,
  ) => readonly number[] | undefined;
  reportDelaySeconds?: number;
}

export interface SimulationResult {
  /** Mbit/s by second since the end of the warm-up, by card; everything that left it. */
  txMbit: Float64Array[];
  /** Weights by second. */
  weights: Int32Array[];
  /** Seconds from the wish to the last byte, of every request of the measured time, sorted. */
  requestSeconds: Float64Array;
  connections: number;
  /** Connections that were lost with their host. */
  lost: number;
}

const stepSeconds = 0.02;
const stepsPerSecond = Math.round(1 / stepSeconds);
/** IPVS keeps a closed connection for so long: net/netfilter/ipvs/ip_vs_proto_tcp.c, FIN_WAIT and TIME_WAIT. */
const inactiveSeconds = 120;

interface Transfer {
  left: number;
  client: number;
  session: Session;
}

interface Session {
  card: number;
  client: number;
  /** Sizes of what it asks for, and the steps between its wishes: drawn when it begins, the same for every scheduler. */
  bytes: number[];
  gaps: number[];
  /** Requests that have been answered. */
  answered: number;
  /** When the next request is wanted, in steps. */
  wantedAt: number;
  isOver: boolean;
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

export function simulate(options: SimulationOptions): SimulationResult {
  const { cards, workload, seconds, warmUpSeconds, control, reportDelaySeconds = 0 } = options;
  // Arrivals have their own randomness, so that they are the same whatever the scheduler draws.
  const random = randomOf(options.seed);
  const drawn = { arrivals: randomOf(options.seed + 1), scheduler: randomOf(options.seed + 2) };
  const site = siteOf(workload, random);
  const bytesPerSecond = (cards.reduce((sum, { speedMbit }) => sum + speedMbit, 0) * 1e6) / 8;
  const sessionsPerSecond = (workload.load * bytesPerSecond) / (site.meanBytes * workload.requestsPerSession);
  const of: Destinations = {
    weight: Int32Array.from(options.weights),
    active: new Int32Array(cards.length),
    inactive: new Int32Array(cards.length),
  };
  const scheduler = schedulerOf(options.scheduler, of, drawn.scheduler);
  const transfers: Transfer[][] = cards.map(() => []);
  const wishes = calendar<Session>();
  const ends = calendar<Session>();
  const forgets = calendar<number>();
  const total = Math.round((warmUpSeconds + seconds) * stepsPerSecond);
  const sent = new Float64Array(cards.length);
  const previous = new Float64Array(cards.length);
  const reports = calendar<Reported>();
  const known: (Reported | undefined)[] = cards.map(() => undefined);
  const result: SimulationResult = {
    txMbit: [],
    weights: [],
    requestSeconds: new Float64Array(0),
    connections: 0,
    lost: 0,
  };
  const times: number[] = [];
  const isUp = cards.map(() => true);
  let nextArrival = drawn.arrivals.exponential(1 / sessionsPerSecond) * stepsPerSecond;

  const open = (step: number): void => {
    const card = scheduler.choose();
    const requests = drawn.arrivals.geometric(workload.requestsPerSession);
    const session: Session = {
      card,
      client: site.client(drawn.arrivals),
      bytes: Array.from({ length: requests }, () => site.bytes(drawn.arrivals)),
      gaps: Array.from(
        { length: requests - 1 },
        () => drawn.arrivals.exponential(workload.gapSeconds) * stepsPerSecond,
      ),
      answered: 0,
      wantedAt: step,
      isOver: false,
    };
    result.connections++;
    if (card < 0) {
      result.lost++;
      return;
    }
    of.active[card] = (of.active[card] ?? 0) + 1;
    wishes.add(step, session);
  };
  const close = (session: Session, step: number): void => {
    if (session.isOver) return;
    session.isOver = true;
    of.active[session.card] = (of.active[session.card] ?? 0) - 1;
    of.inactive[session.card] = (of.inactive[session.card] ?? 0) + 1;
    forgets.add(step + inactiveSeconds * stepsPerSecond, session.card);
  };
  const replied = (session: Session, step: number): void => {
    if (step >= warmUpSeconds * stepsPerSecond) times.push((step + 1 - session.wantedAt) * stepSeconds);
    const gap = session.gaps[session.answered++];
    if (gap === undefined) {
      ends.add(step + 1 + Math.round(workload.lingerSeconds * stepsPerSecond), session);
      return;
    }
    session.wantedAt += Math.round(gap);
    wishes.add(Math.max(step + 1, session.wantedAt), session);
  };

  for (let step = 0; step < total; step++) {
    const now = step * stepSeconds;
    for (const card of forgets.take(step)) of.inactive[card] = (of.inactive[card] ?? 0) - 1;
    for (const session of ends.take(step)) close(session, step);
    for (; nextArrival <= step; nextArrival += drawn.arrivals.exponential(1 / sessionsPerSecond) * stepsPerSecond)
      open(step);
    for (const session of wishes.take(step))
      if (!session.isOver)
        transfers[session.card]?.push({ left: session.bytes[session.answered] ?? 0, client: session.client, session });
    for (const [i, card] of cards.entries()) {
      const list = transfers[i] ?? [];
      const up = card.serves?.(now) ?? true;
      if (!up && isUp[i]) {
        result.lost += of.active[i] ?? 0;
        for (const { session } of list) close(session, step);
        list.length = 0;
      }
      isUp[i] = up;
      const room = (card.speedMbit * 1e6 * stepSeconds) / 8;
      const other = Math.min(0.9, (card.otherMbit?.(now) ?? 0) / card.speedMbit) * room;
      sent[i] =
        (sent[i] ?? 0) +
        other +
        (up ? carry(list, room - other, site.clientBytes, (session) => replied(session, step)) : 0);
    }
    if ((step + 1) % stepsPerSecond !== 0) continue;
    const second = (step + 1) / stepsPerSecond;
    const row = sent.map((bytes, i) => ((bytes - (previous[i] ?? 0)) * 8) / 1e6);
    previous.set(sent);
    for (let card = 0; card < cards.length; card++)
      // Agents have phases of their own; each report comes in late.
      reports.add(step + Math.round((reportDelaySeconds + (card % 10) / 10) * stepsPerSecond) + 1, {
        card,
        txMbit: row[card] ?? 0,
        at: second,
      });
    if (second > warmUpSeconds) {
      result.txMbit.push(row);
      result.weights.push(Int32Array.from(of.weight));
    }
    for (let at = step - stepsPerSecond + 1; at <= step; at++)
      for (const report of reports.take(at)) known[report.card] = report;
    const weights = control?.(second, known, of);
    if (weights) {
      of.weight.set(weights);
      scheduler.changed();
    }
  }
  result.requestSeconds = Float64Array.from(times).sort();
  return result;
}

/** Sends what fits: the room is shared evenly, but no transfer gets more than its client takes. Answers the bytes sent. */
function carry(
  list: Transfer[],
  room: number,
  clientBytes: readonly number[],
  done: (session: Session) => void,
): number {
  if (list.length === 0) return 0;
  const level = levelOf(list, room, clientBytes);
  let carried = 0;
  let kept = 0;
  for (const transfer of list) {
    const piece = Math.min(level, clientBytes[transfer.client] ?? 0, transfer.left);
    transfer.left -= piece;
    carried += piece;
    if (transfer.left > 0.5) list[kept++] = transfer;
    else done(transfer.session);
  }
  list.length = kept;
  return carried;
}

function levelOf(list: readonly Transfer[], room: number, clientBytes: readonly number[]): number {
  // What a transfer asks of this step: its client's speed, or what is left of it.
  const asks = list.map(({ client, left }) => Math.min(clientBytes[client] ?? 0, left));
  let sum = 0;
  for (const ask of asks) sum += ask;
  if (sum <= room) return Number.POSITIVE_INFINITY;
  asks.sort((a, b) => a - b);
  let left = room;
  for (const [i, ask] of asks.entries()) {
    const fair = left / (asks.length - i);
    if (ask > fair) return fair;
    left -= ask;
  }
  return Number.POSITIVE_INFINITY;
}

function siteOf({ objects, clients }: Workload, random: Random) {
  const sizes = Array.from({ length: objects.count }, (_, i) => {
    const size = Math.min(200, Math.exp(objects.sigma * random.normal())) * objects.medianBytes;
    return objects.largeEvery && i % objects.largeEvery === objects.largeEvery - 1 ? size * 100 : size;
  });
  const popularity = sizes.map((_, i) => 1 / (i + 1) ** objects.zipf);
  const sum = popularity.reduce((a, b) => a + b, 0);
  const meanBytes = sizes.reduce((total, size, i) => total + (size * (popularity[i] ?? 0)) / sum, 0);
  const draws = new Map<Random, { object: () => number; client: () => number }>();
  const drawsOf = (from: Random) => {
    const found = draws.get(from) ?? {
      object: weightedDraw(popularity, from),
      client: weightedDraw(
        clients.map(({ share }) => share),
        from,
      ),
    };
    draws.set(from, found);
    return found;
  };
  return {
    meanBytes,
    bytes: (from: Random) => sizes[drawsOf(from).object()] ?? 0,
    client: (from: Random) => drawsOf(from).client(),
    /** What a client takes in one step. */
    clientBytes: clients.map(({ mbit }) => (mbit * 1e6 * stepSeconds) / 8),
  };
}
