// In a guest: the same images from three real servers, by three ways of programming direct routing, each with a VIP of
// its own, and through HAProxy on the director.
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { makeLab, vip } from '../lab/hosts.ts';
import { calm, images, slowMbit } from '../lab/measure.ts';
import { ports, startAgent, startController, startHaproxy, startImages } from '../lab/parts.ts';
import { drive, startFetcher } from '../lab/traffic.ts';
import { waitFor } from '../lab/wait.ts';
import { keepalivedArgv, keepalivedConfig } from './peers.ts';
import { startBench } from './rounds.ts';

const settings = { realServers: 3, connections: 24, seconds: 5, ...images };
const peerVips = { ipvsadm: '192.0.2.101', keepalived: '192.0.2.102' };
const sides = ['dsr-controller', 'ipvsadm', 'keepalived', 'HAProxy'] as const;
type Side = (typeof sides)[number];
const bench = startBench({
  sides,
  measures: {
    mbit: { what: 'images at the client', unit: 'Mbit/s', better: 'more' },
    requests: { what: 'images', unit: '1/s', better: 'more' },
    p50: { what: 'an image takes, median', unit: 'ms' },
    p99: { what: '99 of 100 take less than', unit: 'ms' },
    share: { what: "of all bytes, left through the director's card", unit: '%' },
    idle: { what: "idle of the guest's one CPU", unit: '%', better: 'more' },
  },
});

const lab = await makeLab(settings);
const { director, realServers } = lab;
const origins: Record<Side, string> = {
  'dsr-controller': `http://${vip}`,
  ipvsadm: `http://${peerVips.ipvsadm}`,
  keepalived: `http://${peerVips.keepalived}`,
  HAProxy: `http://${director.ip}:${ports.haproxy}`,
};
await Promise.all(realServers.map((host) => startImages(host, images)));
await startHaproxy(director, realServers);
await startPeers();
await startController(director);
for (const rs of realServers) await startAgent(rs, director);
await put();
await waitFor(
  async () => {
    const { stdout } = await director.exec(['ipvsadm', '-Ln']);
    return stdout.match(/-> \S+:80 +Route +[1-9]/g)?.length === 3 * realServers.length;
  },
  { what: 'all three to send to every real server', timeoutMs: 180_000, everyMs: 200 },
);

const fetcher = startFetcher(lab);
const fetchFor = (side: Side, seconds: number) =>
  drive(lab, fetcher, { ...settings, seconds, path: '/images/%d.jpg', origin: origins[side] }, () => {});
await calm();
const mbit = await fillable();
let failed = 0;
await bench.alternate(async (side) => {
  const traffic = await fetchFor(side, settings.seconds);
  const answers = Object.values(traffic.served).reduce((sum, count) => sum + count, 0);
  const { director: passed, client } = traffic.cards;
  failed += traffic.failed;
  return {
    mbit: traffic.mbit,
    requests: answers / traffic.seconds,
    p50: traffic.p50Ms,
    p99: traffic.p99Ms,
    share: (100 * (passed?.outBytes ?? 0)) / (client?.inBytes ?? 1),
    idle: 100 * traffic.idle,
  };
});
fetcher.end();
await lab.close();

const ours = (key: 'mbit' | 'share' | 'idle') => bench.median(key, 'dsr-controller') ?? 0;
const times = (side: Side) => ours('mbit') / (bench.median('mbit', side) ?? 0);
const wanted = 0.95 * realServers.length;
await bench.finish({
  settings: { ...settings, mbit },
  programs: ['ipvsadm', 'keepalived', 'haproxy'],
  about: `${realServers.length} real servers with cards of ${mbit} Mbit/s${mbit < 100 ? ' (faster ones this machine did not fill)' : ''}, images of ${images.bytes / 1000} kB, ${settings.connections} connections, ${settings.seconds} s a round; the sides alternate. All of them stand on the same director all the time; the first three make the kernel do the same.${ours('idle') < 10 ? ' **The processor, not the cards, was the limit.**' : ''}`,
  verdict: [
    { what: 'against HAProxy', goal: `at least ${wanted.toFixed(2)} x`, measured: `${times('HAProxy').toFixed(2)} x`, met: times('HAProxy') >= wanted }, // biome-ignore format: short
    { what: 'against ipvsadm alone', goal: 'at least 0.95 x', measured: `${times('ipvsadm').toFixed(2)} x`, met: times('ipvsadm') >= 0.95 }, // biome-ignore format: short
    { what: "the director's card", goal: 'at most 1 % of the bytes', measured: `${ours('share').toFixed(2)} %`, met: ours('share') <= 1 }, // biome-ignore format: short
    { what: 'failed requests', goal: 'none', measured: String(failed), met: failed === 0 },
  ],
});

/** The lab's speed, or a lower one where the processor and not the cards would be the limit; gives it. */
async function fillable(): Promise<number> {
  for (const mbit of [100, slowMbit]) {
    await lab.setSpeed(mbit);
    const traffic = await fetchFor('dsr-controller', 3);
    console.log(`cards of ${mbit} Mbit/s: ${traffic.mbit.toFixed(0)} Mbit/s at the client`);
    if (traffic.mbit >= 0.85 * realServers.length * mbit) return mbit;
  }
  return slowMbit;
}

async function startPeers(): Promise<void> {
  const addresses = Object.values(peerVips);
  const silent = 'sysctl -qw net.ipv4.conf.all.arp_ignore=1 net.ipv4.conf.all.arp_announce=2';
  const onLo = addresses.map((address) => `ip addr add ${address}/32 dev lo`);
  for (const rs of realServers) await rs.exec(['sh', '-ec', [silent, ...onLo].join('\n')]);
  for (const address of addresses) await director.exec(['ip', 'addr', 'add', `${address}/32`, 'dev', 'eth0']);
  const service = `${peerVips.ipvsadm}:80`;
  const rules = [`-A -t ${service} -s wlc`, ...realServers.map(({ ip }) => `-a -t ${service} -r ${ip}:80 -g -w 100`)];
  await director.exec(['ipvsadm', '-R'], { input: `${rules.join('\n')}\n` });
  const config = join(director.dir, 'keepalived.conf');
  const check = { intervalMs: 1000, timeoutMs: 500, fall: 3, path: '/healthz' };
  const servers = realServers.map(({ ip }) => ({ ip, weight: 100 }));
  await writeFile(config, keepalivedConfig({ vip: peerVips.keepalived, ports: [80], realServers: servers, check }));
  director.spawn('keepalived', keepalivedArgv(config, director.dir));
}

async function put(): Promise<void> {
  const pool = {
    vip,
    ports: { '80/tcp': { policy: 'real-servers', scheduler: 'wlc' } },
    realServers: Object.fromEntries(realServers.map(({ name, ip }) => [name, { address: ip }])),
    check: { type: 'http', path: '/healthz' },
  };
  const argv = ['curl', '-sS', '--fail-with-body', '-X', 'PUT', '-H', 'content-type: application/json', '-d', '@-'];
  await director.exec([...argv, `http://${director.ip}:${ports.controller}/v1/pools/web`], {
    input: JSON.stringify(pool),
  });
}
