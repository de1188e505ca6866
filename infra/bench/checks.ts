// In a guest: how long a read of the status takes while the prober is asked for a thousand checks a second, and beside a few.
import { readFile } from 'node:fs/promises';
import { setTimeout as sleep } from 'node:timers/promises';
import { makeLab, vip } from '../lab/hosts.ts';
import { lookout } from '../lab/lookout.ts';
import { startAgent, startApiBridge, startController } from '../lab/parts.ts';
import { waitFor } from '../lab/wait.ts';
import { digits, p99 } from './numbers.ts';
import { startBench } from './rounds.ts';

const settings = { wantedRate: 1000, fewIntervalMs: 10_000, ports: 50, readMs: 10_000 };
const ports = Array.from({ length: settings.ports }, (_, i) => 8000 + i);
const [few, many] = ['few checks', 'many checks'];
const bench = startBench({
  sides: [few, many],
  measures: {
    status: { what: 'a read of the status, 99th percentile', unit: 'ms' },
    rate: { what: 'checks that were made', unit: '1/s', better: 'more' },
  },
});

const lab = await makeLab({ realServers: 2, mbit: 0 });
const { director } = lab;
const listen = `for (const port of ${JSON.stringify(ports)}) require('node:net').createServer((socket) => socket.on('error', () => {}).destroy()).listen({ port, backlog: 4096 });`;
for (const rs of lab.realServers) rs.spawn('listeners', [process.execPath, '-e', listen]);
const watched = await Promise.all(lab.realServers.map(lookout));
await startController(director);
for (const rs of lab.realServers) await startAgent(rs, director);
const bridge = await startApiBridge(director, director.dir, ['127.0.0.1:7100']);
await waitFor(() => call('GET'), { what: 'the API to answer' });

await bench.alternate(async (side) => {
  const { wantedRate, fewIntervalMs } = settings;
  const intervalMs = side === many ? (1000 * 2 * settings.ports) / wantedRate : fewIntervalMs;
  await call('PUT', pool(intervalMs));
  await waitFor(async () => (await call('GET')).counts.serving === lab.realServers.length, {
    what: 'all to serve',
    explain: async () => JSON.stringify((await call('GET')).unwell.slice(0, 5)),
    timeoutMs: 60_000,
  });
  // The first checks are all made at once.
  await sleep(intervalMs);
  const [before, began] = [await connections(), performance.now()];
  const status = await readStatus();
  return { status, rate: ((await connections()) - before) / ((performance.now() - began) / 1000) };
});
await bench.finish({
  settings,
  programs: [],
  about: `TCP checks of ${2 * settings.ports} ports, each every ${settings.fewIntervalMs / 1000} s or, if it can, so often that they are ${settings.wantedRate} a second; prober, controller, agents and the servers that are checked share the guest's one CPU. One read after the other for ${settings.readMs / 1000} s a round; the sides alternate.`,
  verdict: [],
  called: (side) => `${digits(bench.median('rate', side) ?? 0)} checks a second`,
});
await bridge.end('SIGKILL');
await lab.close();

function pool(intervalMs: number): object {
  return {
    vip,
    ports: Object.fromEntries(ports.map((port) => [`${port}/tcp`, { policy: 'real-servers' }])),
    realServers: Object.fromEntries(lab.realServers.map(({ name, ip }) => [name, { address: ip }])),
    check: { type: 'tcp', timeoutMs: 1000, intervalMs },
  };
}

async function readStatus(): Promise<number> {
  const times: number[] = [];
  const end = performance.now() + settings.readMs;
  while (performance.now() < end) {
    const began = performance.now();
    await call('GET');
    times.push(performance.now() - began);
  }
  return p99(times);
}

interface Summary {
  counts: { serving: number };
  unwell: unknown[];
}

async function call(method: 'GET' | 'PUT', body?: unknown): Promise<Summary> {
  const path = method === 'GET' ? '/v1/status' : '/v1/pools/web?waitMs=20000';
  const json = body !== undefined && { headers: { 'content-type': 'application/json' }, body: JSON.stringify(body) };
  const response = await fetch(`http://127.0.0.1:7100${path}`, { method, ...json });
  const text = await response.text();
  if (response.status >= 300) throw new Error(`${method} ${path}: ${response.status} ${text.slice(0, 500)}`);
  return JSON.parse(text) as Summary;
}

/** Connections that the real servers' kernels have taken (PassiveOpens of /proc/net/snmp). */
async function connections(): Promise<number> {
  const counts = await Promise.all(
    watched.map(async (pid) => {
      const [names = '', values = ''] = (await readFile(`/proc/${pid}/net/snmp`, 'utf8'))
        .split('\n')
        .filter((line) => line.startsWith('Tcp: '));
      return Number(values.split(' ')[names.split(' ').indexOf('PassiveOpens')]);
    }),
  );
  return counts.reduce((sum, count) => sum + count, 0);
}
