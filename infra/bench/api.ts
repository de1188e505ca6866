// In a guest: how long one change takes until the kernel has it, and how long a look at the state, by the controller's
// API and by the ways that its peers have for the same.
import { readFile } from 'node:fs/promises';
import { setTimeout as sleep } from 'node:timers/promises';
import { waitFor } from '../lab/wait.ts';
import { makeFarm } from './farm.ts';
import { weightIn } from './ip-vs.ts';
import { median, p99 } from './numbers.ts';
import { startBench } from './rounds.ts';
import { first, keptOpen, port, type Side, secondPort, sides, vips, type Wanted, waysOf } from './ways.ts';

/** Of each kind, a round. */
const changes: Record<Side, number> = {
  'dsr-controller': 50,
  ipvsadm: 20,
  [keptOpen]: 50,
  keepalived: 10,
  ldirectord: 3,
  HAProxy: 50,
};
const settings = { realServers: 3, changes };
const bench = startBench({
  sides,
  measures: {
    weight: { what: 'one weight, median', unit: 'ms' },
    weightP99: { what: '99 of 100 take less than', unit: 'ms' },
    weightRate: { what: 'one weight after the other', unit: '1/s', better: 'more' },
    service: { what: 'a service with 3 destinations more, median', unit: 'ms' },
    serviceP99: { what: '99 of 100 such take less than', unit: 'ms' },
    serviceRate: { what: 'one such after the other', unit: '1/s', better: 'more' },
    look: { what: 'a look at the state, median', unit: 'ms' },
    lookP99: { what: '99 of 100 looks take less than', unit: 'ms' },
    lookRate: { what: 'one look after the other', unit: '1/s', better: 'more' },
  },
});

const farm = await makeFarm({ ...settings, vips: Object.values(vips), ports: [port, secondPort] });
const ways = await waysOf(farm);
for (const side of sides)
  if (side !== 'HAProxy') await waitFor(() => has(side, first), { what: `${side} to be ready`, timeoutMs: 120_000 });

await bench.alternate(async (side, round) => {
  const { weigh, serve, look } = ways[side];
  const count = changes[side];
  const weights = await timed(count, async (i) => {
    const weight = 10 + ((round * 31 + i) % 90);
    await weigh(weight);
    await until(side, { weight, second: false });
  });
  await weigh(100);
  await until(side, first);
  const services = serve && (await timed(count, async () => {
    await serve(true);
    await until(side, { weight: 100, second: true });
  }, async () => {
    await serve(false);
    await until(side, first);
  })); // biome-ignore format: short
  const looks = look && (await timed(count, look));
  return {
    ...{ weight: median(weights), weightP99: p99(weights), weightRate: rate(weights) },
    ...(services && { service: median(services), serviceP99: p99(services), serviceRate: rate(services) }),
    ...(looks && { look: median(looks), lookP99: p99(looks), lookRate: rate(looks) }),
  };
});

const ms = (key: 'weight' | 'service' | 'look', side: Side) => bench.median(key, side) ?? 0;
const behind = (['weight', 'service'] as const).filter((key) => ms(key, 'dsr-controller') > ms(key, 'keepalived'));
await bench.finish({
  settings,
  programs: ['ipvsadm', 'keepalived', 'ldirectord', 'haproxy'],
  about: `From the asking until the kernel has it. The controller: PATCH and PUT with waitMs over one connection, each stored and synced before; its look is GET /v1/status?pool=web. ipvsadm: one process a change (-e, -R, -Ln), of whose time most is its start, which is slow in User Mode Linux; and one ipvsadm -R that is told line after line, which is what the kernel itself takes. It stores and checks nothing, and puts nothing right. keepalived, ldirectord: their file is written anew, then SIGHUP. HAProxy: set weight and show stat over its socket, in its own memory; it cannot add a service so. All at once in one guest, each with a VIP of its own; ${Object.entries(
    changes,
  )
    .map(([side, count]) => `${side} ${count}`)
    .join(', ')} changes a round (99 of 100 of few are all of them); the sides alternate.`,
  verdict: [
    { what: 'a change by the API is in the kernel', goal: 'not later than by keepalived', measured: `${ms('weight', 'dsr-controller').toFixed(1)} ms, ${ms('weight', 'keepalived').toFixed(1)} ms`, met: behind.length === 0 }, // biome-ignore format: short
  ],
});
for (const { end } of Object.values(ways)) end?.();
await farm.end();

/** How long each took, in ms. */
async function timed(
  count: number,
  act: (i: number) => Promise<unknown>,
  undo?: () => Promise<unknown>,
): Promise<number[]> {
  const times: number[] = [];
  for (let i = 0; i < count; i++) {
    const began = performance.now();
    await act(i);
    times.push(performance.now() - began);
    await undo?.();
  }
  return times;
}

function rate(times: readonly number[]): number {
  return (1000 * times.length) / times.reduce((sum, ms) => sum + ms, 0);
}

/** What the kernel says, whoever told it. */
async function has(side: Side, { weight, second }: Wanted): Promise<boolean> {
  const table = await readFile('/proc/net/ip_vs', 'utf8');
  const weights = (port: number) => farm.realServers.map(({ address }) => weightIn(table, vips[side], port, address));
  const isServed = (port: number) => weights(port).every((weight) => weight !== undefined && weight > 0);
  return isServed(port) && weights(port)[0] === weight && isServed(secondPort) === second;
}

async function until(side: Side, wanted: Wanted): Promise<void> {
  if (side === 'HAProxy') return; // whose socket answers when it is done
  const began = performance.now();
  while (!(await has(side, wanted))) {
    if (performance.now() - began > 120_000) throw new Error(`the kernel has not got from ${side} what was wanted`);
    await sleep(1);
  }
}
