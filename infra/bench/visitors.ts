// The program of many clients whose visits begin whatever the servers do (an open loop): a loop that waits for replies would ask less
// of a pool that is full, and make every scheduler look even. Speaks JSON, a line each: Visits in, "began" and what came of
// each phase out.
import { connect, type Socket } from 'node:net';
import { createInterface } from 'node:readline';
import { setTimeout as sleep } from 'node:timers/promises';
import { randomOf } from '../simulation/random.ts';
import { type Session, type Site, sessionsPerSecond, siteOf, type Workload } from '../simulation/workload.ts';

export interface Visits {
  host: string;
  port: number;
  workload: Workload;
  seed: number;
  /** One after the other; visits that are under way go on in the next. */
  phases: readonly { mbit: number; seconds: number }[];
}

export interface PhaseTally {
  /** Replies that came wholly in this phase. */
  replies: number;
  /** That clients took in this phase, headers with them. */
  bytes: number;
  /** Connections that broke, answers other than 200, visits beyond {@link mostOpen}; and how often for which reason. */
  failed: number;
  reasons: Record<string, number>;
  /**
   * From the wish to the last byte, milliseconds. Requests that are open when the phase ends count with their age, in each phase that
   * ends before they do: left out, a pool that falls behind would look the quicker for it.
   */
  p50Ms: number;
  p99Ms: number;
}

/** A pool that falls behind must not take all memory. */
const mostOpen = 4000;
/** Slow clients read in pieces; pauses below this are not worth a timer. */
const leastPauseMs = 25;
const buffer = Buffer.alloc(64 * 1024);
/** Through it whatever a client is not to take yet stays with the server. */
const slowBuffer = Buffer.alloc(16 * 1024);

interface Run {
  visits: Visits;
  site: Site;
  open: Set<Socket>;
  /** Each visit's next request, while it has one. */
  waiting: Set<{ wantedAt: number }>;
  took: number[];
  bytes: number;
  reasons: Record<string, number>;
}

for await (const line of createInterface({ input: process.stdin })) await visit(JSON.parse(line) as Visits);

function say(message: unknown): void {
  process.stdout.write(`${JSON.stringify(message)}\n`);
}

async function visit(visits: Visits): Promise<void> {
  const run: Run = {
    visits,
    site: siteOf(visits.workload, visits.seed),
    open: new Set(),
    waiting: new Set(),
    took: [],
    bytes: 0,
    reasons: {},
  };
  const random = randomOf(visits.seed + 1);
  say('began');
  let next = performance.now();
  let end = next;
  for (const { mbit, seconds } of visits.phases) {
    end += seconds * 1000;
    const perMs = sessionsPerSecond(run.site, visits.workload, mbit) / 1000;
    for (;;) {
      const wait = Math.min(next, end) - performance.now();
      if (wait > 1) await sleep(wait);
      if (next >= end) break;
      begin(run, run.site.session(random));
      next += random.exponential(1 / perMs);
    }
    say(tallyOf(run));
    [run.took, run.bytes, run.reasons] = [[], 0, {}];
  }
  for (const socket of run.open) socket.destroy();
}

function tallyOf({ took, waiting, bytes, reasons }: Run): PhaseTally {
  const now = performance.now();
  const ages = [...waiting].map(({ wantedAt }) => now - wantedAt).filter((age) => age > 0);
  const sorted = [...took, ...ages].sort((a, b) => a - b);
  const at = (share: number) => Math.round(sorted[Math.floor(sorted.length * share)] ?? 0);
  const failed = Object.values(reasons).reduce((sum, of) => sum + of, 0);
  return { replies: took.length, bytes, failed, reasons, p50Ms: at(0.5), p99Ms: at(0.99) };
}

/** One visit: a connection and its requests, each when the reply before has been there for a while. */
function begin(run: Run, { objects, gaps, client }: Session): void {
  const failFor = (reason: string) => {
    run.reasons[reason] = (run.reasons[reason] ?? 0) + 1;
  };
  if (run.open.size >= mostOpen) {
    failFor('too many visits at once');
    return;
  }
  const { host, port, workload } = run.visits;
  const bytesPerMs = ((workload.clients[client]?.mbit ?? 1) * 1e6) / 8 / 1000;
  const isSlow = bytesPerMs * leastPauseMs < slowBuffer.length;
  const into = isSlow ? slowBuffer : buffer;
  let answered = 0;
  const request = { wantedAt: performance.now() };
  run.waiting.add(request);
  let head = '';
  let left: number | undefined; // of the body; undefined while the head is being read
  let readyAt = request.wantedAt;
  let over = false;
  const ask = (): void => {
    socket.write(`GET /${objects[answered]} HTTP/1.1\r\nHost: ${host}\r\n\r\n`);
  };
  const finish = (): void => {
    over = true;
    run.waiting.delete(request);
  };
  const fail = (reason: string): void => {
    if (over) return;
    failFor(reason);
    finish();
    socket.destroy();
  };
  const replied = (): void => {
    run.took.push(performance.now() - request.wantedAt);
    head = '';
    left = undefined;
    const gap = gaps[answered++];
    if (gap !== undefined) {
      request.wantedAt = performance.now() + gap * 1000;
      setTimeout(() => over || ask(), gap * 1000);
      return;
    }
    finish();
    setTimeout(() => socket.end(), workload.lingerSeconds * 1000);
  };
  /** False: no more for now. */
  const take = (length: number): boolean => {
    run.bytes += length;
    let body = length;
    if (left === undefined) {
      head += into.toString('latin1', 0, length);
      const headEnd = head.indexOf('\r\n\r\n');
      if (headEnd < 0) return true;
      if (!head.startsWith('HTTP/1.1 200')) {
        fail(head.split('\r\n', 1)[0] ?? '');
        return false;
      }
      body = head.length - headEnd - 4;
      left = Number(/^content-length: (\d+)/im.exec(head)?.[1]);
    }
    left -= body;
    if (left <= 0) replied();
    const now = performance.now();
    readyAt = Math.max(now, readyAt) + length / bytesPerMs;
    if (readyAt - now < leastPauseMs) return true;
    setTimeout(() => socket.resume(), readyAt - now);
    return false;
  };
  const socket = connect({ host, port, onread: { buffer: into, callback: take } }, ask);
  run.open.add(socket);
  socket.on('error', (error: NodeJS.ErrnoException) => fail(`${error.code} after ${answered} replies`));
  socket.on('end', () => fail(`ended after ${answered} replies`));
  socket.on('close', () => run.open.delete(socket));
}
