// In a guest: four real servers, visits that arrive whatever the pool does, at 50, 75 and 95 % of what its cards carry; every
// stock scheduler and the weights by headroom in turn. How evenly are the cards filled?
import { mkdir, truncate, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Host, Program } from '../lab/host.ts';
import { makeLab, vip } from '../lab/hosts.ts';
import { startAgent, startController, startFiles } from '../lab/parts.ts';
import { startFetcher, watchIdle } from '../lab/traffic.ts';
import { waitFor } from '../lab/wait.ts';
import { askedMbit, type Scenario, scenarios, speedsOf, workloadOf } from '../simulation/scenarios.ts';
import { siteOf } from '../simulation/workload.ts';
import { cellOf, wordsOf } from './evenness-cell.ts';
import { goalsOf } from './evenness-goals.ts';
import { givenFlags, startBench } from './rounds.ts';
import type { PhaseTally, Visits } from './visitors.ts';

const quick = givenFlags().includes('--quick');
const stock = ['rr', 'wrr', 'lc', 'wlc', 'sed', 'nq', 'mh'] as const;
type Side = (typeof stock)[number] | 'headroom';
const sides: readonly Side[] = quick ? ['rr', 'wlc', 'sed', 'headroom'] : [...stock, 'headroom'];
const wanted = quick ? ['a', 'c'] : ['a', 'c', 'd', 'e', 'b'];
const loads = quick ? [0.75] : [0.5, 0.75, 0.95];
/** So that the guest's one CPU has time to spare when the cards are full: what it does not carry, no scheduler does. */
const cardMbit = 25;
const medianBytes = 16_000;
const warmUpSeconds = 10;
/** After each change of the load, before it is measured. */
const settleSeconds = quick ? 5 : 10;
const measuredSeconds = 20;
const kinds = {
  unevenness: { group: 'unevenness of the cards', unit: '%' },
  secondsToEven: { group: 'even after the change', unit: 's' },
  mbit: { group: 'taken since the visits began, other egress with it', unit: 'Mbit/s', better: 'more' },
  otherMbit: { group: 'of which other egress', unit: 'Mbit/s', better: 'more' },
  p99Ms: { group: '99 of 100 requests take less than', unit: 'ms' },
  failed: { group: 'failed requests', unit: 'in all' },
  idle: { group: "idle of the guest's one CPU", unit: '%', better: 'more' },
} as const;
type Kind = keyof typeof kinds;
const keyOf = (kind: Kind, scenario: string, load: number) => `${kind} ${scenario} ${load}`;
const bench = startBench<string, Side>({
  sides,
  measures: Object.fromEntries(
    (Object.keys(kinds) as Kind[]).flatMap((kind) =>
      wanted
        .filter((key) => kind !== 'otherMbit' || (scenarios[key]?.lastBusy ?? 0) > 0)
        .flatMap((key) =>
          loads.map((load) => [
            keyOf(kind, key, load),
            { what: `${key} ${scenarios[key]?.name} at ${load * 100} %`, ...kinds[kind] },
          ]),
        ),
    ),
  ),
  ...(quick && { mostRounds: 1 }),
});

const lab = await makeLab({ realServers: 4, mbit: cardMbit });
const { director, client, realServers } = lab;
const last = realServers.at(-1) as Host;
/** Each scheduler has a port of its own, so that none inherits connections of another. */
const portOf = (side: Side): number => (side === 'headroom' ? 8000 : 8001 + stock.indexOf(side));
const headroomVip = '192.0.2.101';
const ports = [portOf('headroom'), ...stock.map(portOf)];
// What a client does not read shall not fill its kernel: slow ones are felt by the servers.
await client.exec(['sysctl', '-qw', 'net.ipv4.tcp_rmem=4096 32768 131072']);
await startController(director, 100);
const agents = new Map<Host, Program>();
/** A scenario's slow card is an ordinary one again in the next. */
const cardSpeeds = new Map<Host, number>();
for (const rs of realServers) await setSpeed(rs, cardMbit);
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
const members = (speeds?: readonly number[]) => ({
  realServers: Object.fromEntries(
    realServers.map(({ name, ip }, i) => [
      name,
      { address: ip, weight: speeds ? Math.round(((speeds[i] ?? 0) / cardMbit) * 100) : 100 },
    ]),
  ),
  check: { type: 'tcp', port: portOf(speeds ? 'rr' : 'headroom'), intervalMs: 1000, timeoutMs: 500 },
});

for (let round = 1; round <= bench.rounds; round++)
  for (const key of wanted) {
    const scenario = scenarios[key] as Scenario;
    await prepare(scenario, round);
    for (const side of round % 2 ? sides : [...sides].reverse()) await run(key, scenario, side, round);
  }
visitors.end();
await lab.close();
await bench.finish({
  settings: { cardMbit, medianBytes, settleSeconds, measuredSeconds, loads, scenarios: wanted, quick },
  programs: [],
  about: `Four real servers with cards of ${cardMbit} Mbit/s; visits arrive whatever the pool does; unevenness is the coefficient of variation of the cards' loads over windows of 10 s. ${measuredSeconds} s a load; the sides alternate. Chance is by what the sides' differences vary from round to round, which have other visits: one in a hundred sides that is as good as the best of seven is further behind; a single round says nothing of it.`,
  // A quick run has too little to tell chance apart.
  verdict: quick
    ? []
    : goalsOf({ scenarios: wanted, loads, sides, rounds: bench.rounds }, (kind, key, load, side) =>
        bench.values(keyOf(kind, key, load), side as Side),
      ),
});

/** Objects of this scenario, cards of its speeds. */
async function prepare(scenario: Scenario, seed: number): Promise<void> {
  const speeds = speedsOf(scenario, realServers.length, cardMbit);
  root = join(director.dir, `objects-${scenario.largeEvery ?? 0}-${seed}`);
  await mkdir(root, { recursive: true });
  await writeFile(join(root, 'healthz'), 'ok\n');
  for (const [i, bytes] of siteOf(workloadOf(scenario, cardMbit, medianBytes), seed).sizes.entries())
    await writeFile(join(root, String(i)), Buffer.alloc(bytes, 0x5a));
  await writeFile(join(root, 'backup'), '');
  await truncate(join(root, 'backup'), 2 ** 31);
  for (const [i, rs] of realServers.entries()) {
    await web.get(rs)?.end();
    web.set(rs, await startFiles(rs, { root, ports }));
    await setSpeed(rs, speeds[i] ?? cardMbit);
  }
  await put('stock', { vip, ports: balanced(stock), ...members(speeds) });
  await put('headroom', { vip: headroomVip, ports: balanced(['headroom']), ...members() });
}

async function setSpeed(rs: Host, mbit: number): Promise<void> {
  if (cardSpeeds.get(rs) === mbit) return;
  const shape = ['tbf', 'rate', `${mbit}mbit`, 'burst', '256k', 'latency', '100ms'];
  await rs.exec(['tc', 'qdisc', 'replace', 'dev', 'eth0', 'root', ...shape]);
  await agents.get(rs)?.end();
  agents.set(rs, await startAgent(rs, director, mbit));
  cardSpeeds.set(rs, mbit);
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

async function run(key: string, scenario: Scenario, side: Side, round: number): Promise<void> {
  const speeds = speedsOf(scenario, realServers.length, cardMbit);
  const pool = { vip: headroomVip, ports: balanced(['headroom']), ...members() };
  // It begins anew each time, and does not go by what others fill the cards with.
  if (side === 'headroom') await put('headroom', { ...pool, balance: 'headroom' });
  const seconds = settleSeconds + measuredSeconds + scenario.lastGoneSeconds;
  const phases = loads.map((load) => ({ mbit: askedMbit(scenario, speeds, load), seconds }));
  const workload = workloadOf(scenario, cardMbit, medianBytes);
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
  for (const load of loads) {
    const idle = await watchIdle();
    const ended = visitors.said() as Promise<PhaseTally>;
    const otherBytes = await disturb(scenario, seconds);
    const { rows, tally } = await meter(ended);
    taken.bytes += tally.bytes;
    taken.otherBytes += await otherBytes();
    taken.seconds += seconds;
    const cell = cellOf({ taken, rows, speeds, settleSeconds, measuredSeconds, tally, idle: 100 * (await idle()) });
    for (const kind of Object.keys(kinds) as Kind[]) {
      const value = cell[kind];
      if (value !== undefined) bench.record(side, { [keyOf(kind, key, load)]: value });
    }
    process.stdout.write(`${scenario.name} ${load * 100} % ${side}: ${wordsOf(cell)}\n`);
  }
  if (side === 'headroom') await put('headroom', pool);
}

/**
 * What happens to the last real server from now on, for so many seconds at most.
 * @returns what waits for its other egress to end, and answers how much was taken of it, bytes
 */
async function disturb({ lastBusy, lastGoneSeconds }: Scenario, seconds: number): Promise<() => Promise<number>> {
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

/** Mbit/s that leave each real server's card, by second, until a phase has ended. */
async function meter(ended: Promise<PhaseTally>): Promise<{ rows: number[][]; tally: PhaseTally }> {
  const rows: number[][] = [];
  let tally: PhaseTally | undefined;
  void ended.then((of) => {
    tally = of;
  });
  let before = await lab.counters();
  let at = performance.now();
  while (!tally) {
    await sleep(Math.max(0, at + 1000 - performance.now()));
    const [now, time] = [await lab.counters(), performance.now()];
    rows.push(
      realServers.map(({ name }) => (((now[name]?.tx ?? 0) - (before[name]?.tx ?? 0)) * 8) / 1000 / (time - at)),
    );
    [before, at] = [now, time];
  }
  return { rows, tally };
}
