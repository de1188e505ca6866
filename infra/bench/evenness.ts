// In a guest, in one scenario: four real servers, visits that arrive whatever the pool does, at 50, 75 and 95 % of what its
// cards carry; stock schedulers and the weights by headroom in turn. How evenly are the cards filled?
import { mkdir, truncate, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Host, Program } from '../lab/host.ts';
import { makeLab, vip } from '../lab/hosts.ts';
import { startAgent, startController, startFiles } from '../lab/parts.ts';
import { startFetcher, watchIdle } from '../lab/traffic.ts';
import { waitFor } from '../lab/wait.ts';
import { askedMbit, inLab, type Scenario, scenarios, speedsOf, workloadOf } from '../simulation/scenarios.ts';
import { siteOf } from '../simulation/workload.ts';
import { cellOf, type Kind, keyOf, kinds, measuresOf, wordsOf } from './evenness-cell.ts';
import { goalsOf } from './evenness-goals.ts';
import { meter } from './evenness-meter.ts';
import { givenFlags, givenPart, startBench } from './rounds.ts';
import type { PhaseTally, Visits } from './visitors.ts';

const name = givenPart();
const scenario = scenarios[name] as Scenario;
const quick = givenFlags().includes('--quick');
const stock = ['rr', 'wrr', 'lc', 'wlc', 'sed', 'nq', 'mh'] as const;
type Side = (typeof stock)[number] | 'headroom';
const sides: readonly Side[] = quick ? ['rr', 'wlc', 'sed', 'headroom'] : [...stock, 'headroom'];
const { cardMbit, medianBytes, warmUpSeconds, measuredSeconds } = inLab;
const loads: readonly number[] = quick ? [0.75] : inLab.loads;
const settleSeconds = quick ? 5 : inLab.settleSeconds;
const cards = 4;
const speeds = speedsOf(scenario, cards, cardMbit);
const bench = startBench<string, Side>({
  sides,
  measures: measuresOf(name, scenario, speeds, loads),
  ...(quick && { mostRounds: 1 }),
});

const lab = await makeLab({ realServers: cards, mbit: cardMbit });
const { director, client, realServers } = lab;
const last = realServers.at(-1) as Host;
/** Each scheduler has a port of its own, so that none inherits connections of another. */
const portOf = (side: Side): number => (side === 'headroom' ? 8000 : 8001 + stock.indexOf(side));
const headroomVip = '192.0.2.101';
const ports = [portOf('headroom'), ...stock.map(portOf)];
// What a client does not read shall not fill its kernel: slow ones are felt by the servers.
await client.exec(['sysctl', '-qw', 'net.ipv4.tcp_rmem=4096 32768 131072']);
await startController(director, 100);
for (const [i, rs] of realServers.entries()) await setSpeed(rs, speeds[i] ?? cardMbit);
const workload = workloadOf(scenario, cardMbit, medianBytes);
const web = new Map<Host, Program>();
let root = '';
const visitors = startFetcher<Visits>({
  client,
  fetchCommand: [process.execPath, '--import', 'tsx', join(import.meta.dirname, 'visitors.ts')],
});

const balanced = (of: readonly Side[]) =>
  Object.fromEntries(
    of.map((side) => [
      `${portOf(side)}/tcp`,
      {
        policy: 'real-servers',
        scheduler: side === 'headroom' ? 'sed' : side,
        // All visits of the lab come from one address; and without the fallback a server that is out keeps its share, refused.
        ...(side === 'mh' && { schedulerFlags: ['mh-port', 'mh-fallback'] }),
      },
    ]),
  );

/** Stock schedulers know the cards' speeds from the operator: weights in that ratio. */
const members = (of: 'stock' | 'headroom') => ({
  realServers: Object.fromEntries(
    realServers.map(({ name, ip }, i) => [
      name,
      { address: ip, weight: of === 'stock' ? Math.round(((speeds[i] ?? 0) / cardMbit) * 100) : 100 },
    ]),
  ),
  check: { type: 'tcp', port: portOf(of === 'stock' ? 'rr' : 'headroom'), intervalMs: 1000, timeoutMs: 500 },
});

const headroomPool = { vip: headroomVip, ports: balanced(['headroom']), ...members('headroom') };

for (let round = 1; round <= bench.rounds; round++) {
  await prepare(round);
  for (const side of round % 2 ? sides : [...sides].reverse()) await run(side, round);
}
visitors.end();
await lab.close();
await bench.finish({
  settings: { scenario: name, cardMbit, medianBytes, settleSeconds, measuredSeconds, loads: [...loads], quick },
  programs: [],
  about: `Cards of ${cardMbit} Mbit/s; at each load ${settleSeconds} s to settle, then ${measuredSeconds} s measured; the sides alternate.`,
  // A quick run has too little to tell chance apart.
  verdict: quick
    ? []
    : goalsOf({ loads, sides, rounds: bench.rounds, ...(name === 'a' && { mostUneven: 5 }) }, (kind, load, side) =>
        bench.values(keyOf(kind, load), side as Side),
      ),
});

/** Objects of this round, and web servers that have them. */
async function prepare(seed: number): Promise<void> {
  root = join(director.dir, `objects-${seed}`);
  await mkdir(root, { recursive: true });
  await writeFile(join(root, 'healthz'), 'ok\n');
  for (const [i, bytes] of siteOf(workload, seed).sizes.entries())
    await writeFile(join(root, String(i)), Buffer.alloc(bytes, 0x5a));
  await writeFile(join(root, 'backup'), '');
  await truncate(join(root, 'backup'), 2 ** 31);
  for (const rs of realServers) {
    await web.get(rs)?.end();
    web.set(rs, await startFiles(rs, { root, ports }));
  }
  await put('stock', { vip, ports: balanced(stock), ...members('stock') });
  await put('headroom', headroomPool);
}

async function setSpeed(rs: Host, mbit: number): Promise<void> {
  const shape = ['tbf', 'rate', `${mbit}mbit`, 'burst', '256k', 'latency', '100ms'];
  await rs.exec(['tc', 'qdisc', 'replace', 'dev', 'eth0', 'root', ...shape]);
  await startAgent(rs, director, mbit);
}

async function put(name: string, pool: object): Promise<void> {
  const url = `http://${director.ip}:7100/v1/pools/${name}?waitMs=30000`;
  const argv = [
    'curl',
    '-sS',
    '--fail-with-body',
    '-X',
    'PUT',
    '-H',
    'content-type: application/json',
    '-d',
    '@-',
    url,
  ];
  await director.exec(argv, { input: JSON.stringify(pool) });
  await waitFor(async () => (await serving(name)) === realServers.length, {
    what: `${name} to serve`,
    timeoutMs: 60_000,
  });
}

async function serving(name: string): Promise<number> {
  const { stdout } = await director.exec(['curl', '-sS', `http://${director.ip}:7100/v1/status?pool=${name}`]);
  const of: { weight: number }[] = Object.values(JSON.parse(stdout).pools[name].realServers);
  return of.filter(({ weight }) => weight > 0).length;
}

async function run(side: Side, round: number): Promise<void> {
  // It begins anew each time, and does not go by what others fill the cards with.
  if (side === 'headroom') await put('headroom', { ...headroomPool, balance: 'headroom' });
  const seconds = settleSeconds + measuredSeconds + scenario.lastGoneSeconds;
  const phases = loads.map((load) => ({ mbit: askedMbit(scenario, speeds, load), seconds }));
  visitors.ask({
    host: side === 'headroom' ? headroomVip : vip,
    port: portOf(side),
    workload,
    seed: round,
    phases: [{ mbit: phases[0]?.mbit ?? 0, seconds: warmUpSeconds }, ...phases],
  });
  await visitors.said();
  const warmUp = (await visitors.said()) as PhaseTally;
  const taken = { bytes: warmUp.bytes, otherBytes: 0, seconds: warmUpSeconds };
  let phaseBegan = performance.now();
  for (const load of loads) {
    const began = phaseBegan + scenario.lastGoneSeconds * 1000;
    const idle = await watchIdle();
    const ended = visitors.said() as Promise<PhaseTally>;
    const otherBytes = await disturb(seconds);
    const { rows, tally, endedAt } = await meter(ended, { counters: sentBytes, began });
    phaseBegan = endedAt;
    const inPhase = { bytes: tally.bytes, otherBytes: await otherBytes(), seconds };
    taken.bytes += inPhase.bytes;
    taken.otherBytes += inPhase.otherBytes;
    taken.seconds += seconds;
    const cell = cellOf({
      taken,
      inPhase,
      rows,
      speeds,
      settleSeconds,
      measuredSeconds,
      tally,
      idle: 100 * (await idle()),
    });
    for (const kind of Object.keys(kinds) as Kind[]) {
      const value = cell[kind];
      if (value !== undefined) bench.record(side, { [keyOf(kind, load)]: value });
    }
    process.stdout.write(`${scenario.name} ${load * 100} % ${side}: ${wordsOf(cell)}\n`);
  }
  if (side === 'headroom') await put('headroom', headroomPool);
}

async function sentBytes(): Promise<number[]> {
  const now = await lab.counters();
  return realServers.map(({ name }) => now[name]?.tx ?? 0);
}

/**
 * What happens to the last real server from now on, for so many seconds at most.
 * @returns what waits for its other egress to end, and answers how much was taken of it, bytes
 */
async function disturb(seconds: number): Promise<() => Promise<number>> {
  const { lastBusy, lastGoneSeconds } = scenario;
  if (lastBusy > 0) {
    const rate = `${Math.round((lastBusy * cardMbit * 1e6) / 8)}`;
    const url = `http://${last.ip}:${ports[0]}/backup`;
    // By --max-time it ends with an error (28), and tells how much it took (curl(1)).
    const limits = ['--limit-rate', rate, '--max-time', `${seconds}`, '-w', '%{size_download}'];
    const backup = client.exec(['curl', '-so', '/dev/null', ...limits, url], { reject: false });
    return async () => {
      const { stdout, exitCode } = await backup;
      if (exitCode !== 28) throw new Error(`the other egress was cut short: curl ended with ${exitCode}`);
      return Number(stdout);
    };
  }
  if (lastGoneSeconds > 0) {
    await web.get(last)?.end('SIGKILL');
    await sleep(lastGoneSeconds * 1000);
    web.set(last, await startFiles(last, { root, ports }));
  }
  return async () => 0;
}
