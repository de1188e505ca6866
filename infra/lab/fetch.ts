// The program of the lab's client: fetches over HTTP/1.1 connections that are kept open, as fast as it can, and counts
// who answered. Speaks JSON, a line each: a Load in, "measuring" and a Tally out. Imports nothing but Node's own modules, because
// it runs alone on the client. Written for little processor time, since the whole lab may run on one core: wrk and undici,
// with their small buffers, need twice as much.
import { connect, type Socket } from 'node:net';
import { createInterface } from 'node:readline';
import { setTimeout as sleep } from 'node:timers/promises';

export interface Load {
  /** http://address:port */
  origin: string;
  /** %d counts from 1 to `count`, again and again. */
  path: string;
  count: number;
  connections: number;
  seconds: number;
}

export interface Tally {
  /** All that came: headers and bodies. */
  bytes: number;
  seconds: number;
  /** Connections that broke, answers other than 200. */
  failed: number;
  /** Complete answers by the header X-Served-By. */
  served: Record<string, number>;
  /** From a request to its complete answer: median, and what 99 of 100 do not exceed. */
  p50Ms: number;
  p99Ms: number;
}

interface Run {
  load: Load;
  tally: Tally;
  /** Of complete answers. */
  times: number[];
  next: () => string;
  sockets: Set<Socket>;
  over: boolean;
}

const warmUpMs = 1000;
const buffer = Buffer.alloc(256 * 1024);

for await (const line of createInterface({ input: process.stdin })) await fetchAll(JSON.parse(line) as Load);

function say(message: unknown): void {
  process.stdout.write(`${JSON.stringify(message)}\n`);
}

/** Says 'measuring' when the connections have warmed up, and then the tally. */
async function fetchAll(load: Load): Promise<void> {
  let asked = 0;
  const next = (): string => load.path.replace('%d', String((asked++ % load.count) + 1));
  const run: Run = { load, tally: emptyTally(), times: [], next, sockets: new Set(), over: false };
  const connections = Array.from({ length: load.connections }, () => keepFetching(run));
  await sleep(warmUpMs);
  run.tally = emptyTally();
  run.times = [];
  const start = performance.now();
  say('measuring');
  await sleep(load.seconds * 1000);
  const seconds = (performance.now() - start) / 1000;
  const sorted = run.times.sort((a, b) => a - b);
  const most = (share: number): number => sorted[Math.ceil(sorted.length * share) - 1] ?? 0;
  const tally = { ...run.tally, seconds, p50Ms: most(0.5), p99Ms: most(0.99) };
  run.over = true;
  for (const socket of run.sockets) socket.destroy();
  await Promise.all(connections);
  say(tally);
}

function emptyTally(): Tally {
  return { bytes: 0, seconds: 0, failed: 0, served: {}, p50Ms: 0, p99Ms: 0 };
}

async function keepFetching(run: Run): Promise<void> {
  while (!run.over) {
    await fetchOnOneConnection(run);
    if (run.over) return;
    run.tally.failed += 1;
    await sleep(100);
  }
}

/** Asks again after each reply; resolves when the connection has ended. */
function fetchOnOneConnection(run: Run): Promise<void> {
  const { hostname, port, host } = new URL(run.load.origin);
  let head = '';
  let left: number | undefined; // of the body; undefined while the head is being read
  let asked = 0;
  const ask = (): void => {
    asked = performance.now();
    socket.write(`GET ${run.next()} HTTP/1.1\r\nHost: ${host}\r\n\r\n`);
  };
  const take = (length: number): boolean => {
    run.tally.bytes += length;
    let body = length;
    if (left === undefined) {
      head += buffer.toString('latin1', 0, length);
      const end = head.indexOf('\r\n\r\n');
      if (end < 0) return true;
      body = head.length - end - 4;
      head = head.slice(0, end);
      left = Number(/^content-length: (\d+)/im.exec(head)?.[1] ?? body);
    }
    left -= body;
    if (left > 0) return true;
    count(run.tally, head);
    run.times.push(performance.now() - asked);
    head = '';
    left = undefined;
    ask();
    return true;
  };
  const socket = connect({ host: hostname, port: Number(port || 80), onread: { buffer, callback: take } }, ask);
  run.sockets.add(socket);
  socket.setTimeout(10_000, () => socket.destroy());
  socket.on('error', () => {}); // 'close' follows
  return new Promise((resolve) => {
    socket.on('close', () => {
      run.sockets.delete(socket);
      resolve();
    });
  });
}

function count(tally: Tally, head: string): void {
  const ok = head.startsWith('HTTP/1.1 200');
  const who = ok ? /^x-served-by: (\S+)/im.exec(head)?.[1] : head.split('\r\n', 1)[0];
  if (!ok) tally.failed += 1;
  tally.served[who ?? 'unnamed'] = (tally.served[who ?? 'unnamed'] ?? 0) + 1;
}
