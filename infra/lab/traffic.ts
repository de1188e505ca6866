// Drives real client traffic through the router and measures it where it matters: at the client, on every card, and
// in the frames that the router receives.
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { Card, Event, Traffic } from './events.ts';
import type { Load, Tally } from './fetch.ts';
import type { Host } from './host.ts';
import type { Counters, Lab } from './hosts.ts';

/** Starts the client's program (fetch.ts) in a host; it waits for loads. */
export function startFetcher(host: Host): ChildProcess {
  const [file = '', ...rest] = host.enter([process.execPath, '--import', 'tsx', join(import.meta.dirname, 'fetch.ts')]);
  return spawn(file, rest, { stdio: ['ignore', 'inherit', 'inherit', 'ipc'] });
}

/** Has the load fetched, telling the progress each second. */
export async function drive(
  lab: Lab,
  fetcher: ChildProcess,
  load: Load,
  tell: (event: Event) => void,
): Promise<Traffic> {
  const ended = once(fetcher, 'exit').then(() => Promise.reject(new Error("the client's program has ended")));
  const said = async (): Promise<unknown> => (await Promise.race([once(fetcher, 'message'), ended]))[0];
  const capture = captureReplies(lab, load);
  fetcher.send(load);
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

function tellProgress(lab: Lab, seconds: number, start: Record<string, Counters>, tell: (event: Event) => void) {
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

/** Captures some of the replies' frames on the router, and tells the hosts whose cards sent them, by source MAC. */
function captureReplies(lab: Lab, { origin }: Load): { stop: () => Promise<Record<string, number>> } {
  const { hostname, port } = new URL(origin);
  const sources = Math.max(3, lab.realServers.length);
  const filter = `src host ${hostname} and tcp src port ${port || 80} and greater 100`;
  const tcpdump = lab.router.exec(['tcpdump', '-lenn', '-i', 'eth0', '-c', String(100 * sources), filter], {
    reject: false,
  });
  const stop = async (): Promise<Record<string, number>> => {
    tcpdump.kill('SIGINT');
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
