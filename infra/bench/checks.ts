// In a guest: how long a read of the status takes while the prober makes thousands of checks a second, and without any.
import { writeFileSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { cpus } from 'node:os';
import { execa } from 'execa';
import { makeLab, vip } from '../lab/hosts.ts';
import { lookout } from '../lab/lookout.ts';
import { startAgent, startApiBridge, startController } from '../lab/parts.ts';
import { waitFor } from '../lab/wait.ts';
import { markdown, median, table } from './numbers.ts';

const [resultFile = '', roundsText = '7'] = process.argv.slice(2);
const rounds = Number(roundsText);
const wantedRate = 1000;
const ports = 50;
const intervalMs = (1000 * 2 * ports) / wantedRate;
const readsEach = 200;

const lab = await makeLab({ realServers: 2, mbit: 0 });
const { director } = lab;
const listen = `for (let port = 8000; port < ${8000 + ports}; port++) require('node:net').createServer((socket) => socket.on('error', () => {}).destroy()).listen({ port, backlog: 4096 });`;
for (const rs of lab.realServers) rs.spawn('listeners', [process.execPath, '-e', listen]);
const watched = await Promise.all(lab.realServers.map(lookout));
await startController(director);
for (const rs of lab.realServers) await startAgent(rs, director);
const bridge = await startApiBridge(director, director.dir, ['127.0.0.1:7100']);
await waitFor(() => call('GET'), { what: 'the API to answer' });

const pool = (check: object) => ({
  vip,
  ports: Object.fromEntries(Array.from({ length: ports }, (_, i) => [`${8000 + i}/tcp`, { policy: 'real-servers' }])),
  realServers: Object.fromEntries(lab.realServers.map(({ name, ip }) => [name, { address: ip }])),
  check: { type: 'tcp', timeoutMs: 1000, ...check },
});
const busy = pool({ intervalMs });
const idle = pool({ intervalMs: 10_000 });

const times: Record<'idle' | 'busy', number[]> = { idle: [], busy: [] };
const rates: number[] = [];
for (let round = 1; round <= rounds; round++)
  for (const side of round % 2 ? (['idle', 'busy'] as const) : (['busy', 'idle'] as const)) {
    await call('PUT', side === 'busy' ? busy : idle);
    await waitFor(async () => (await serving()) === lab.realServers.length, {
      what: 'all to serve',
      explain: async () => JSON.stringify((await call('GET')).unwell.slice(0, 5)),
      timeoutMs: 60_000,
    });
    const [before, began] = [await connections(), performance.now()];
    const p99 = await readStatus();
    const rate = ((await connections()) - before) / ((performance.now() - began) / 1000);
    times[side].push(p99);
    if (side === 'busy') rates.push(rate);
    process.stdout.write(
      `round ${round}/${rounds}  ${side}: ${Math.round(rate)} checks a second, a status read takes ${p99.toFixed(1)} ms (99th percentile)\n`,
    );
  }

const machine = { cpu: cpus()[0]?.model ?? '', kernel: (await execa('uname', ['-r'])).stdout, node: process.version };
const result = { wantedRate, rate: median(rates), p99Ms: { idle: median(times.idle), busy: median(times.busy) } };
writeFileSync(resultFile, `${JSON.stringify({ ...result, machine, rounds, all: { times, rates } }, null, 2)}\n`);
const ms = (n: number) => `${n.toFixed(1)} ms`;
const rows = [
  ['a read of the status, 99th percentile', 'median', 'fastest', 'slowest'],
  ...(['idle', 'busy'] as const).map((side) => [
    side === 'idle' ? 'with a check each 10 s' : `beside ${Math.round(result.rate)} checks a second`,
    ms(median(times[side])),
    ms(Math.min(...times[side])),
    ms(Math.max(...times[side])),
  ]),
];
console.log(`\n${table(rows)}`);
writeFileSync(
  resultFile.replace(/json$/, 'md'),
  `${markdown(rows)}\n\n${wantedRate} TCP checks a second were asked for; prober, controller, agents and the servers that are checked share the guest's one CPU. ${rounds} alternating rounds of ${readsEach} reads; Linux ${machine.kernel} (User Mode Linux) on ${machine.cpu}, Node ${machine.node}.\n`,
);
await bridge.end('SIGKILL');
await lab.close();

async function readStatus(): Promise<number> {
  const reads: number[] = [];
  for (let i = 0; i < readsEach; i++) {
    const began = performance.now();
    await call('GET');
    reads.push(performance.now() - began);
  }
  return reads.sort((a, b) => a - b)[Math.ceil(reads.length * 0.99) - 1] ?? 0;
}

interface Summary {
  counts: { serving: number };
  unwell: unknown[];
}

async function call(method: 'GET' | 'PUT', body?: unknown): Promise<Summary> {
  const path = method === 'GET' ? '/v1/status' : '/v1/pools/web?waitMs=20000';
  const init = {
    method,
    headers: { 'content-type': 'application/json' },
    ...(body !== undefined && { body: JSON.stringify(body) }),
  };
  const response = await fetch(`http://127.0.0.1:7100${path}`, init);
  const text = await response.text();
  if (response.status >= 300) throw new Error(`${method} ${path}: ${response.status} ${text.slice(0, 500)}`);
  return JSON.parse(text) as Summary;
}

async function serving(): Promise<number> {
  return (await call('GET')).counts.serving;
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
