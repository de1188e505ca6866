// Clients that go on asking while something happens, and notice whatever goes wrong for them.
import { readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { Host, Program } from '../../infra/lab/host.ts';
import { waitFor } from '../../infra/lab/wait.ts';

export interface Load {
  /** Ends the load and says what the clients met: nothing but `requests` and `downloads` is other than 0. */
  stop: () => Promise<Outcome>;
}

export interface Outcome {
  /** Requests over connections that stay and over fresh ones. */
  requests: number;
  /** Slow downloads that ended, each of several seconds. */
  downloads: number;
  /** What wrk counts as errors, downloads that broke off, and what the client's kernel had to send again or give up. */
  failures: Record<string, number>;
}

interface Tally {
  requests: number;
  connect: number;
  read: number;
  write: number;
  status: number;
  timeout: number;
}

const script = join(import.meta.dirname, 'load.lua');

/** @param slow URL of a file that takes its time at 200 kB/s */
export async function startLoad(client: Host, url: string, slow: string): Promise<Load> {
  const wrk = ['wrk', '-t1', '-c3', '-d1h', '--timeout', '20s', '-s', script, url];
  const started = [
    client.spawn('load-keep-alive', wrk, { env: { PAUSE: '100', CONNECTION: 'keep-alive' } }),
    client.spawn('load-fresh', wrk, { env: { PAUSE: '200', CONNECTION: 'close' } }),
  ];
  const goOn = join(client.dir, 'go-on');
  await writeFile(goOn, '');
  const loop = `while [ -e ${goOn} ]; do curl --silent --fail --limit-rate 200k -o /dev/null ${slow} && echo whole || echo broken; done`;
  const downloads = client.spawn('load-downloads', ['sh', '-c', loop]);
  const before = await tcpFailures(downloads.pid);
  return {
    stop: async () => {
      const after = await tcpFailures(downloads.pid);
      const tallies = await Promise.all(started.map(tally));
      await rm(goOn);
      await downloads.ended;
      const ended = (await readFile(downloads.log, 'utf8')).split('\n');
      const sum = (of: (tally: Tally) => number) => tallies.reduce((total, one) => total + of(one), 0);
      return {
        requests: sum(({ requests }) => requests),
        downloads: ended.filter((line) => line === 'whole').length,
        failures: {
          connect: sum(({ connect }) => connect),
          read: sum(({ read }) => read),
          write: sum(({ write }) => write),
          status: sum(({ status }) => status),
          timeout: sum(({ timeout }) => timeout),
          downloads: ended.filter((line) => line === 'broken').length,
          ...Object.fromEntries(Object.entries(after).map(([name, count]) => [name, count - (before[name] ?? 0)])),
        },
      };
    },
  };
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
