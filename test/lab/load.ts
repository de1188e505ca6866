// Clients that go on asking while something happens, and notice whatever goes wrong for them.
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { Host, Program } from '../../infra/lab/host.ts';
import { lookout } from '../../infra/lab/lookout.ts';
import { waitFor } from '../../infra/lab/wait.ts';
import { beginDownload, longBytes } from './images.ts';

export interface Load {
  /** Ends the load and says what the clients met. */
  stop: () => Promise<Outcome>;
}

export interface Outcome {
  /** Over connections that stay and over fresh ones. */
  requests: number;
  /** All 0 when nobody noticed anything: what wrk counts, downloads that broke off, and the client's kernel's TCP. */
  failures: Record<string, number>;
}

export interface Tally {
  requests: number;
  connect: number;
  read: number;
  write: number;
  status: number;
  timeout: number;
}

const script = join(import.meta.dirname, 'load.lua');

/** Loads port 80 of a VIP, whose real servers have /images/1.jpg and the long image. */
export async function startLoad(client: Host, vip: string): Promise<Load> {
  const wrk = ['wrk', '-t1', '-c3', '-d1h', '--timeout', '20s', '-s', script, `http://${vip}/images/1.jpg`];
  const downloads = await Promise.all([1, 2].map(() => beginDownload(client, vip)));
  const started = [
    client.spawn('load-keep-alive', wrk, { env: { PAUSE: '100', CONNECTION: 'keep-alive' } }),
    client.spawn('load-fresh', wrk, { env: { PAUSE: '200', CONNECTION: 'close' } }),
  ];
  const pid = await lookout(client);
  const before = await tcpFailures(pid);
  return {
    stop: async () => {
      const bytes = await Promise.all(downloads.map(({ finish }) => finish()));
      const after = await tcpFailures(pid);
      const tallies = await Promise.all(started.map(tally));
      const sum = (of: (tally: Tally) => number) => tallies.reduce((total, one) => total + of(one), 0);
      return {
        requests: sum(({ requests }) => requests),
        failures: {
          connect: sum(({ connect }) => connect),
          read: sum(({ read }) => read),
          write: sum(({ write }) => write),
          status: sum(({ status }) => status),
          timeout: sum(({ timeout }) => timeout),
          download: bytes.filter((count) => count !== longBytes).length,
          ...Object.fromEntries(Object.entries(after).map(([name, count]) => [name, count - (before[name] ?? 0)])),
        },
      };
    },
  };
}

/** 100 connections that stay, as fast as they can; the servers close each after some requests, as they all do. */
export function startManyConnections(client: Host, vip: string): { stop: () => Promise<Tally> } {
  const wrk = ['wrk', '-t1', '-c100', '-d1h', '--timeout', '20s', '-s', script, `http://${vip}/images/1.jpg`];
  const started = client.spawn('load-many', wrk, { env: { PAUSE: '20', CONNECTION: 'keep-alive' } });
  return { stop: () => tally(started) };
}

/** wrk sums up when it is interrupted. */
async function tally(wrk: Program): Promise<Tally> {
  await wrk.end('SIGINT');
  const line = await waitFor(async () => /^\{.*\}$/m.exec(await readFile(wrk.log, 'utf8'))?.[0], {
    what: 'wrk to sum up',
    explain: wrk.tail,
  });
  return JSON.parse(line) as Tally;
}

/** What a host's kernel counts of its TCP connections that did not go well (/proc/net/snmp of a process in there). */
async function tcpFailures(pid: number): Promise<Record<string, number>> {
  const [names = '', values = ''] = (await readFile(`/proc/${pid}/net/snmp`, 'utf8'))
    .split('\n')
    .filter((line) => line.startsWith('Tcp: '));
  const counts = values.split(' ');
  const all = new Map(names.split(' ').map((name, i) => [name, Number(counts[i])]));
  return Object.fromEntries(['AttemptFails', 'EstabResets', 'RetransSegs'].map((name) => [name, all.get(name) ?? 0]));
}
