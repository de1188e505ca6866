// Drives real client traffic through the router and measures it where it matters: at the client, on every card, and
// in the frames that the router receives.
import { spawn } from 'node:child_process';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { execa } from 'execa';
import type { Card, Event, Traffic } from './events.ts';
import type { Load, Tally } from './fetch.ts';
import type { Host } from './host.ts';
import type { Counters } from './hosts.ts';

export type MeasuredHost = Pick<Host, 'name' | 'ip' | 'mac' | 'enter'>;

/** What is measured: the lab's hosts, or machines that are reached in another way. */
export interface Measured {
  client: MeasuredHost;
  router: MeasuredHost;
  director: MeasuredHost;
  realServers: MeasuredHost[];
  hosts: Record<string, MeasuredHost>;
  /** Of every host's card, by the host's name. */
  counters: () => Promise<Record<string, Counters>>;
  /** Gives the cards of the director and the real servers another speed. */
  setSpeed: (mbit: number) => Promise<void>;
  /** What runs fetch.ts on the client; default: this folder's own. */
  fetchCommand?: string[];
  /** The router's card on the LAN; default eth0. */
  lanCard?: string;
}

/** The client's program (fetch.ts), which waits for loads. */
export interface Fetcher<Ask = Load> {
  ask: (load: Ask) => void;
  /** What it says next. */
  said: () => Promise<unknown>;
  end: () => void;
}

export function startFetcher<Ask = Load>({
  client,
  fetchCommand = ourFetch,
}: Pick<Measured, 'client' | 'fetchCommand'>): Fetcher<Ask> {
  const [file = '', ...rest] = client.enter(fetchCommand);
  const child = spawn(file, rest, { stdio: ['pipe', 'pipe', 'inherit'] });
  const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
  return {
    ask: (load) => child.stdin.write(`${JSON.stringify(load)}\n`),
    said: async () => {
      const { value, done } = await lines.next();
      if (done) throw new Error("the client's program has ended");
      return JSON.parse(value);
    },
    end: () => child.stdin.end(),
  };
}

const ourFetch = [process.execPath, '--import', 'tsx', join(import.meta.dirname, 'fetch.ts')];

/** Has the load fetched, telling the progress each second. */
export async function drive(
  lab: Measured,
  { ask, said }: Fetcher,
  load: Load,
  tell: (event: Event) => void,
): Promise<Traffic> {
  const capture = captureReplies(lab, load);
  ask(load);
  await said(); // it measures from now on
  const before = await lab.counters();
  const idle = await watchIdle();
  const stopTelling = tellProgress(lab, load.seconds, before, tell);
  const message = await said().finally(stopTelling);
  const after = await lab.counters();
  const tally = message as Tally;
  const cards = Object.keys(before).map((name) => [name, difference(before[name], after[name], tally.seconds)]);
  return {
    ...tally,
    url: load.origin + load.path.replace('%d', 'N'),
    mbit: perSecond(tally.bytes, tally.seconds),
    frames: await capture.stop(),
    idle: await idle(),
    cards: Object.fromEntries(cards),
  };
}

/** Gives the share of the processors' time, from now on, that nothing used: 0 to 1. */
export async function watchIdle(): Promise<() => Promise<number>> {
  const times = async (): Promise<number[]> => {
    const line = /^cpu +(.*)$/m.exec(await readFile('/proc/stat', 'utf8'))?.[1] ?? '';
    return line.split(' ').map(Number);
  };
  const before = await times();
  return async () => {
    const spent = (await times()).map((time, i) => time - (before[i] ?? 0));
    return (spent[3] ?? 0) / spent.reduce((sum, time) => sum + time, 1);
  };
}

function tellProgress(lab: Measured, seconds: number, start: Record<string, Counters>, tell: (event: Event) => void) {
  let last = start;
  let second = 0;
  const look = async (): Promise<void> => {
    const now = await lab.counters();
    const cards = Object.keys(now).map((name) => [name, difference(last[name], now[name], 1)] as const);
    last = now;
    second += 1;
    const out = Object.fromEntries(cards.map(([name, card]) => [name, card.outMbit]));
    const client = cards.find(([name]) => name === 'client')?.[1].inMbit ?? 0;
    if (second < seconds) tell({ type: 'progress', second, seconds, client, cards: out });
  };
  const timer = setInterval(() => void look(), 1000);
  return () => clearInterval(timer);
}

/**
 * Captures some of the replies' frames on the router, and tells the hosts whose cards sent them, by source MAC. It ends
 * with its standard input: over ssh a signal would not reach it.
 */
function captureReplies(lab: Measured, { origin }: Load): { stop: () => Promise<Record<string, number>> } {
  const { hostname, port } = new URL(origin);
  const sources = Math.max(3, lab.realServers.length);
  const filter = `src host ${hostname} and tcp src port ${port || 80} and greater 100`;
  const dump = `tcpdump -lenn -i ${lab.lanCard ?? 'eth0'} -c ${100 * sources} '${filter}' </dev/null &
cat >/dev/null
kill $! 2>/dev/null
wait`;
  const [file = '', ...rest] = lab.router.enter(['sh', '-c', dump]);
  const tcpdump = execa(file, rest, { reject: false, stdin: 'pipe' });
  const stop = async (): Promise<Record<string, number>> => {
    tcpdump.stdin.end();
    const { stdout } = await tcpdump;
    const names = new Map(Object.values(lab.hosts).map((host) => [host.mac, host.name]));
    const frames: Record<string, number> = {};
    for (const [, mac = ''] of stdout.matchAll(/^\S+ ([0-9a-f:]{17}) > /gm)) {
      const name = names.get(mac) ?? mac;
      frames[name] = (frames[name] ?? 0) + 1;
    }
    return frames;
  };
  return { stop };
}

function difference(before: Counters | undefined, after: Counters | undefined, seconds: number): Card {
  const inBytes = (after?.rx ?? 0) - (before?.rx ?? 0);
  const outBytes = (after?.tx ?? 0) - (before?.tx ?? 0);
  return { inBytes, outBytes, inMbit: perSecond(inBytes, seconds), outMbit: perSecond(outBytes, seconds) };
}

function perSecond(bytes: number, seconds: number): number {
  return (bytes * 8) / 1e6 / seconds;
}
