// In a guest: one director, two real servers, and three balancers on it at once, each with a VIP of its own: the
// controller, keepalived and ldirectord. A real server fails; how long does each still send it new connections?
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Goal } from '../lab/events.ts';
import type { Host } from '../lab/host.ts';
import { makeLab, vip } from '../lab/hosts.ts';
import { lookout } from '../lab/lookout.ts';
import { startAgent, startController, startImages } from '../lab/parts.ts';
import { waitFor } from '../lab/wait.ts';
import { weightIn } from './ip-vs.ts';
import { fewest, meanAndChance } from './numbers.ts';
import { keepalivedArgv, keepalivedConfig, ldirectordArgv, ldirectordConfig } from './peers.ts';
import { startBench } from './rounds.ts';

/** The least that ldirectord can do is one second. */
const settings = { intervalMs: 200, timeoutMs: 150, rise: 2, fall: 2 };
const sides = ['dsr-controller', 'keepalived', 'ldirectord'] as const;
type Side = (typeof sides)[number];
type Key = 'killed' | 'frozen' | 'cable' | 'vip';
const peerVips = ['192.0.2.101', '192.0.2.102'] as const;
const addresses = new Map<Side, string>(sides.map((side, i) => [side, [vip, ...peerVips][i] ?? '']));
/** A balancer that has not noticed by then does not notice. */
const patienceMs = 8000;

const bench = startBench({
  sides,
  measures: {
    killed: { what: 'web server killed', unit: 'ms' },
    frozen: { what: 'web server frozen (SIGSTOP)', unit: 'ms' },
    cable: { what: 'cable pulled', unit: 'ms' },
    vip: { what: 'VIP gone, nobody there to mend it', unit: 'ms' },
    killedBack: { what: 'back after: web server killed', unit: 'ms' },
    frozenBack: { what: 'back after: web server frozen', unit: 'ms' },
    cableBack: { what: 'back after: cable pulled', unit: 'ms' },
  },
});

const lab = await makeLab({ realServers: 2, mbit: 0 });
const { director } = lab;
const [rs1, rs2] = lab.realServers as [Host, Host];
for (const rs of [rs1, rs2])
  for (const address of peerVips)
    await rs.exec(['sh', '-ec', `sysctl -qw net.ipv4.conf.all.arp_ignore=1 net.ipv4.conf.all.arp_announce=2; ip addr add ${address}/32 dev lo`]); // biome-ignore format: one command
for (const address of peerVips) await director.exec(['ip', 'addr', 'add', `${address}/32`, 'dev', 'eth0']);
let images = await startImages(rs1, { count: 1, bytes: 2000 });
await startImages(rs2, { count: 1, bytes: 2000 });

const watcher = await lookout(director);
await startController(director);
let agent = await startAgent(rs1, director);
await startAgent(rs2, director);
await put();
await startPeers();
await waitFor(async () => (await serving()).length === sides.length, {
  what: 'all three to send to rs1',
  timeoutMs: 60_000,
});

interface Scenario {
  key: Key;
  /** Resolves as soon as it has happened. */
  fail: () => Promise<unknown>;
  mend: () => Promise<unknown>;
}

const scenarios: Scenario[] = [
  {
    key: 'killed',
    fail: () => images.end('SIGKILL'),
    mend: async () => {
      images = await startImages(rs1, { count: 1, bytes: 2000 });
    },
  },
  {
    key: 'frozen',
    fail: async () => process.kill(images.pid, 'SIGSTOP'),
    mend: async () => process.kill(images.pid, 'SIGCONT'),
  },
  { key: 'cable', fail: () => rs1.cable('down'), mend: () => rs1.cable('up') },
  {
    key: 'vip',
    fail: async () => {
      await agent.end('SIGKILL');
      await rs1.exec(['ip', '-batch', '-'], {
        input: [...addresses.values()].map((address) => `addr del ${address}/32 dev lo`).join('\n'),
      });
    },
    mend: async () => {
      await rs1.exec(['ip', '-batch', '-'], {
        input: peerVips.map((address) => `addr add ${address}/32 dev lo`).join('\n'),
      });
      agent = await startAgent(rs1, director);
    },
  },
];

/** How much later than keepalived the controller was, by round. */
const later = new Map<Key, number[]>();
/** Where keepalived noticed what the controller did not. */
const neverAlone = new Set<Key>();
for (let round = 1; round <= bench.rounds; round++)
  for (const { key, fail, mend } of scenarios) {
    const out = await follow(fail, false);
    const back = await follow(mend, true);
    const [ours, theirs] = [out.get('dsr-controller'), out.get('keepalived')];
    later.set(key, [...(later.get(key) ?? []), (ours ?? patienceMs) - (theirs ?? patienceMs)]);
    if (ours === undefined && theirs !== undefined) neverAlone.add(key);
    for (const side of sides) {
      const ms = out.get(side) ?? null;
      bench.record(side, { [key]: ms });
      // Who never noticed has nothing to come back from; where an agent has to start anew there is nothing to compare.
      if (ms !== null && key !== 'vip') bench.record(side, { [`${key}Back`]: back.get(side) ?? null });
    }
    const words = sides.map((side) => `${side} ${out.get(side)?.toFixed(0) ?? 'never'} ms`);
    console.log(`round ${round}/${bench.rounds}  ${key}: ${words.join(', ')}`);
  }
await lab.close();

const killedMs = bench.median('killed', 'dsr-controller') ?? patienceMs;
await bench.finish({
  settings: { ...settings, patienceMs },
  programs: ['keepalived', 'ldirectord'],
  about: `How long new connections are still sent to the failed one. An HTTP check each ${settings.intervalMs} ms, time limit ${settings.timeoutMs} ms, out after ${settings.fall} failures; ldirectord's least is 1 s. All three at once on one director, each with a VIP of its own; never: not within ${patienceMs / 1000} s.${bench.rounds < fewest ? ` Fewer than ${fewest} rounds do not tell which differences are chance.` : ''}`,
  verdict: [
    { what: 'a killed server is out', goal: 'within 600 ms', measured: `${Math.round(killedMs)} ms`, met: killedMs <= 600 }, // biome-ignore format: short
    ...(bench.rounds < fewest ? [] : [notBehind()]),
  ],
});

/** Of both in the same rounds, since each round fails at another moment of their intervals. */
function notBehind(): Goal {
  const rows = [...later].map(([key, values]) => ({ key, ...meanAndChance(values) }));
  const missed = rows.filter(({ key, mean, chance }) => mean > chance || neverAlone.has(key));
  return {
    what: 'a server that fails is out',
    goal: 'nowhere later than by keepalived but for chance (this is of the going out, not of the coming back)',
    measured: rows.map(({ key, mean, chance }) => `${key} by ${Math.round(mean)} ms, chance ${Math.round(chance)} ms`).join('; '), // biome-ignore format: one chain
    met: missed.length === 0,
  };
}

/** Who sends new connections to rs1, by what the kernel says. */
async function serving(): Promise<Side[]> {
  const text = await readFile(`/proc/${watcher}/net/ip_vs`, 'utf8');
  return sides.filter((side) => (weightIn(text, addresses.get(side) ?? '', 80, rs1.ip) ?? 0) > 0);
}

/** How long after `act` each balancer's entry for rs1 was as `wanted`; who is missing was not so in time. */
async function follow(act: () => Promise<unknown>, wanted: boolean): Promise<Map<Side, number>> {
  const found = new Map<Side, number>();
  await act();
  const began = performance.now();
  const patience = wanted ? 30_000 : patienceMs;
  while (found.size < sides.length && performance.now() - began < patience) {
    const now = await serving();
    for (const side of sides)
      if (!found.has(side) && now.includes(side) === wanted) found.set(side, performance.now() - began);
    await sleep(5);
  }
  // What came may go again at once.
  const isAtRest = async () => {
    const now = await serving();
    return [...found.keys()].every((side) => now.includes(side) === wanted);
  };
  await waitFor(isAtRest, { what: 'the balancers to come to rest', timeoutMs: 30_000 });
  return found;
}

async function put(): Promise<void> {
  const pool = {
    vip,
    ports: { '80/tcp': { policy: 'real-servers' } },
    realServers: { rs1: { address: rs1.ip }, rs2: { address: rs2.ip } },
    check: { type: 'http', path: '/healthz', ...settings, jitterPercent: 0 },
  };
  const argv = ['curl', '-sS', '--fail-with-body', '-X', 'PUT', '-H', 'content-type: application/json', '-d', '@-'];
  await director.exec([...argv, `http://${director.ip}:7100/v1/pools/web`], { input: JSON.stringify(pool) });
}

async function startPeers(): Promise<void> {
  const realServers = [rs1, rs2].map(({ ip }) => ({ ip, weight: 100 }));
  const service = { ports: [80], realServers, check: { ...settings, path: '/healthz' } };
  const [keepalived, ldirectord] = ['keepalived.conf', 'ldirectord.cf'].map((name) => join(director.dir, name)) as [string, string]; // biome-ignore format: short
  await writeFile(keepalived, keepalivedConfig({ ...service, vip: peerVips[0] }));
  await writeFile(ldirectord, ldirectordConfig({ ...service, vip: peerVips[1] }));
  director.spawn('keepalived', keepalivedArgv(keepalived, director.dir));
  director.spawn('ldirectord', ldirectordArgv(ldirectord));
}
