import { setTimeout as sleep } from 'node:timers/promises';
import t from 'tap';
import type { Host, Program } from '../../infra/lab/host.ts';
import { vip } from '../../infra/lab/hosts.ts';
import { startFiles } from '../../infra/lab/parts.ts';
import type { TrafficView } from '../../src/core/traffic.ts';
import type { PoolText } from './api.ts';
import { ipvs } from './kernel.ts';
import { makeSite } from './site.ts';

const mbit = 20;
const site = await makeSite(t, { mbit });
const { api, client, director, rs1, rs2, until } = site;
const root = `${director.dir}/files`;
await director.exec(['sh', '-ec', `mkdir -p ${root}; echo ok >${root}/healthz; truncate -s 2G ${root}/backup`]);
for (const rs of [rs1, rs2]) await startFiles(rs, { root, ports: [80] });
const controller = () => site.startController({ 'speed-mbit': '100' });
let running = await controller();
const speed = { 'speed-mbit': String(mbit) };
const agents = new Map<Host, Program>([rs1, rs2].map((rs) => [rs, site.startAgent(rs, speed)]));
const pool: PoolText = {
  vip,
  ports: { '80/tcp': { policy: 'real-servers', scheduler: 'sed' } },
  realServers: { rs1: { address: rs1.ip }, rs2: { address: rs2.ip } },
  balance: 'headroom',
};

/** Share of the second of what the kernel would send to both, 0 to 1. */
const shareOf2 = async (): Promise<number> => {
  const lines = await ipvs(director);
  const [one, two] = [rs1, rs2].map(({ ip }) =>
    Number(lines.find((line) => line.startsWith(`-a -t ${vip}:80 -r ${ip}:`))?.split(' -w ')[1] ?? Number.NaN),
  );
  return (two ?? 0) / ((one ?? 0) + (two ?? 0));
};

t.test('a server whose card is busy with something else gets less, and says why', async (t) => {
  await api.put('web', pool);
  await until(async () => (await shareOf2()) === 0.5, 'both to serve alike');
  client.spawn('backup', ['curl', '-so', '/dev/null', '--limit-rate', '1500k', `http://${rs2.ip}/backup`]);
  await until(async () => (await shareOf2()) < 0.3, 'the busy one to get less');
  const { realServers } = (await api.status('web')).pools.web ?? {};
  t.match(realServers?.rs2?.reason, /by headroom: its card is [4-9]\d % full/);
  t.match(realServers?.rs1?.reason, /weight 1000 of 1000 by headroom: its card is \d % full/);
  t.strictSame(
    (await api.events()).filter(({ type }) => type === 'drift'),
    [],
  );
});

t.test('how full the pool is, and whose card is full first, is what the kernel counts', async (t) => {
  const sent = async () => {
    const of = await site.counters();
    return { at: performance.now(), bytes: (of.rs1?.tx ?? 0) + (of.rs2?.tx ?? 0) };
  };
  const capacity = async () => (await api.status('web')).pools.web!.capacity;
  await until(async () => (await capacity()).first?.realServer === 'rs2', 'the busy card to be full first');
  // Both look at different seconds of a stream that is not quite steady.
  const ratio = await until(async () => {
    const before = await sent();
    const said: number[] = [];
    for (let look = 0; look < 5; look++) {
      said.push((await capacity()).carriedMbit);
      await sleep(1000);
    }
    const after = await sent();
    const mbit = ((after.bytes - before.bytes) * 8) / 1000 / (after.at - before.at);
    const mean = said.reduce((a, b) => a + b) / said.length / mbit;
    return mbit > 8 && mean > 0.9 && mean < 1.1 ? mean : undefined;
  }, 'what is carried to be what the kernel counts, within a tenth');
  t.comment(`said to be ${ratio.toFixed(2)} of what the kernel counts`);
  const { capacityMbit, fullPercent, carriedMbit, withoutLargest, cards } = await capacity();
  t.equal(capacityMbit, 2 * mbit);
  t.strictSame(cards, { rs1: mbit, rs2: mbit });
  t.ok(Math.abs((fullPercent ?? 0) - (carriedMbit / (2 * mbit)) * 100) < 0.1, `${fullPercent} % of ${carriedMbit}`);
  t.equal(withoutLargest?.capacityMbit, mbit);
});

t.test('where replies leave by a second card, that is the one whose traffic counts', async (t) => {
  const cardOfRs1 = async () =>
    (await api.call<{ traffic: TrafficView }>('GET', '/v1/status')).body.traffic.realServers.rs1?.interface;
  t.equal(await cardOfRs1(), 'eth0');
  const [{ dst, gateway = '' } = {}] = JSON.parse((await rs1.exec(['ip', '-j', 'route', 'show', 'default'])).stdout);
  await rs1.exec([
    ...['sh', '-ec'],
    'ip link add uplink type veth peer name far; ip link set uplink up; ip link set far up; ip addr add 198.51.100.11/24 dev uplink; ip route replace default via 198.51.100.1 dev uplink',
  ]);
  await until(async () => (await cardOfRs1()) === 'uplink', 'the card of the default route');
  await rs1.exec(['sh', '-ec', `ip link del uplink${dst ? `; ip route replace default via ${gateway}` : ''}`]);
  await until(async () => (await cardOfRs1()) === 'eth0', 'its own card again');
});

t.test('a controller that is killed leaves the weights, and the next one goes on from them', async (t) => {
  await running.end('SIGKILL');
  const before = await shareOf2();
  running = await controller();
  let most = 0;
  await until(async () => {
    most = Math.max(most, await shareOf2());
    return /by headroom: its card is [4-9]\d % full/.test(
      (await api.status('web')).pools.web?.realServers.rs2?.reason ?? '',
    );
  }, 'it to know the cards again');
  t.ok(most <= before + 0.1, `${most}, and before ${before}`);
});

t.test('without reports the weights go back to what is configured, and no server loses its traffic', async (t) => {
  for (const agent of agents.values()) await agent.end('SIGKILL');
  const before = await shareOf2();
  await until(
    async () => /nothing is heard of its card/.test((await api.status('web')).pools.web?.realServers.rs2?.reason ?? ''),
    'the silence to count',
  );
  await until(async () => (await shareOf2()) > before + 0.1, 'the shares to come nearer');
  t.ok((await ipvs(director)).every((line) => !/ -w 0$/.test(line)));
});

t.test('with balance "weights" the kernel has the configured ones again', async (t) => {
  await api.put('web', { ...pool, balance: 'weights' });
  const entries = (await ipvs(director)).filter((line) => line.startsWith('-a'));
  t.equal(entries.length, 2);
  t.ok(
    entries.every((line) => line.endsWith(' -w 100')),
    entries.join('; '),
  );
});
