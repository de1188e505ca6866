// Makes the lab's hosts, on the kernel that this runs on: a client behind a router, and on the router's LAN a director
// and real servers.
import { mkdir, readdir, readFile, readlink, rm, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { execa } from 'execa';
import { type Host, makeHost, removeHosts, startProgram, type Wiring } from './host.ts';
import type { Measured } from './traffic.ts';
import { waitFor } from './wait.ts';

export interface LabOptions {
  /** rs1, rs2, ... Default 3. */
  realServers?: number;
  /** Speed of the cards on the LAN, out of the host. Default 100; 0 is unlimited. */
  mbit?: number;
  /** As tc-tbf(8) has it; smaller ones make the kernel's timers the limit instead of the card. Default 256k. */
  burst?: string;
  /** Further hosts on the LAN, at 192.0.2.200 and up. */
  extraHosts?: string[];
  /** Put before the names of the namespaces, so that several labs can stand side by side. */
  prefix?: string;
}

export interface Counters {
  /** Bytes in and out of a card since the lab was made. */
  rx: number;
  tx: number;
}

export interface Lab extends Measured {
  client: Host;
  router: Host;
  director: Host;
  realServers: Host[];
  /** All of them by name. */
  hosts: Record<string, Host>;
  /** Ends every process in the hosts and removes them. */
  close: () => Promise<void>;
}

export const vip = '192.0.2.100';
export const vip6 = '2001:db8:2::100';

/** Makes the hosts and joins them; they can reach each other when this returns. */
export async function makeLab(options: LabOptions = {}): Promise<Lab> {
  const { realServers = 3, prefix = '' } = options;
  const root = `/run/dsr-lab/${prefix || 'lab'}`;
  const cables = `${prefix}switch`;
  await mkdir('/run/netns', { recursive: true });
  await execa('ip', ['netns', 'add', cables]);
  await execa('ip', ['netns', 'exec', cables, 'sysctl', '--quiet', '--write', 'net.ipv6.conf.default.disable_ipv6=1']);
  const wirings = wiringsOf(root, options);
  const hosts: Record<string, Host> = {};
  for (const wiring of wirings) hosts[wiring.name] = await makeHost(wiring);
  const ports = wirings.filter((wiring) => wiring.peerNetns === cables);
  const bridge = [
    'link add lan type bridge stp_state 0 mcast_snooping 0',
    'link set lan up',
    ...ports.map(({ peer }) => `link set ${peer} master lan up`),
  ];
  await execa('ip', ['-n', cables, '-batch', '-'], { input: bridge.join('\n') });
  const watched = [cables, `${prefix}router`].map((netns) =>
    startProgram('counters', ['ip', 'netns', 'exec', netns, 'sleep', 'infinity'], join(root, 'counters.log')),
  );
  const counters = async (): Promise<Record<string, Counters>> =>
    Object.assign({}, ...(await Promise.all(watched.map(({ pid }) => readCounters(pid, hosts)))));
  await waitFor(async () => Object.keys(await counters()).length === wirings.length, { what: 'the cards to count' });
  const host = (name: string): Host => hosts[name] as Host;
  return {
    client: host('client'),
    router: host('router'),
    director: host('director'),
    realServers: Array.from({ length: realServers }, (_, i) => host(`rs${i + 1}`)),
    hosts,
    counters,
    setSpeed: async (mbit) => {
      const words = ['tc', 'qdisc', 'replace', 'dev', 'eth0', 'root', ...shaped({ ...options, mbit }).split(' ')];
      for (const { name, qdisc } of wirings) if (qdisc) await hosts[name]?.exec(words);
    },
    close: async () => {
      await endProcesses([cables, ...wirings.map(({ netns }) => netns)].map((netns) => `/run/netns/${netns}`));
      await removeHosts(wirings);
      await execa('ip', ['netns', 'delete', cables]);
      await rm(root, { recursive: true });
    },
  };
}

/** Names and addresses of the hosts, without making them. */
export const addressesOf = (options: LabOptions = {}): Pick<Host, 'name' | 'ip' | 'mac'>[] =>
  wiringsOf('', options).map(({ name, ip, mac }) => ({ name, ip, mac }));

function wiringsOf(root: string, options: LabOptions): Wiring[] {
  const { realServers = 3, extraHosts = [], prefix = '' } = options;
  return [
    router(root, prefix),
    client(root, prefix),
    onLan(root, options, 'director', 10),
    ...Array.from({ length: realServers }, (_, i) => onLan(root, options, `rs${i + 1}`, 11 + i)),
    ...extraHosts.map((name, i) => onLan(root, options, name, 200 + i)),
  ];
}

function onLan(root: string, { prefix = '', mbit = 100, burst }: LabOptions, name: string, number: number): Wiring {
  return {
    name,
    netns: `${prefix}${name}`,
    dir: `${root}/${name}`,
    ip: `192.0.2.${number}`,
    ip6: `2001:db8:2::${number}`,
    mac: `02:00:00:00:02:${number.toString(16).padStart(2, '0')}`,
    gateway: { ip: '192.0.2.1', ip6: '2001:db8:2::1' },
    peer: name,
    peerNetns: `${prefix}switch`,
    ...(mbit > 0 && { qdisc: shaped({ mbit, ...(burst && { burst }) }) }),
  };
}

const shaped = ({ mbit, burst = '256k' }: LabOptions): string => `tbf rate ${mbit}mbit burst ${burst} latency 100ms`;

/** Its eth0 is on the LAN; its second card, named client after what is at its other end, gets made with the client. */
function router(root: string, prefix: string): Wiring {
  const { gateway, ...wiring } = onLan(root, { prefix, mbit: 0 }, 'router', 1);
  return { ...wiring, setup: 'echo 1 >/proc/sys/net/ipv4/ip_forward\necho 1 >/proc/sys/net/ipv6/conf/all/forwarding' };
}

function client(root: string, prefix: string): Wiring {
  return {
    name: 'client',
    netns: `${prefix}client`,
    dir: `${root}/client`,
    ip: '198.51.100.10',
    ip6: '2001:db8:51::10',
    mac: '02:00:00:00:51:0a',
    gateway: { ip: '198.51.100.1', ip6: '2001:db8:51::1' },
    peer: 'client',
    peerNetns: `${prefix}router`,
    setup: `ip -n ${prefix}router -batch - <<END
link set client addrgenmode none
address add 198.51.100.1/24 dev client
address add 2001:db8:51::1/64 dev client nodad
address add fe80::5101/64 dev client nodad
link set client up
END`,
  };
}

/**
 * Reads the counters of the cables' other ends, which have the hosts' names and receive what the hosts send. Through
 * /proc of a process in there, because starting one for every look would take time from the traffic that is measured.
 */
async function readCounters(pid: number, hosts: Record<string, Host>): Promise<Record<string, Counters>> {
  const lines = (await readFile(`/proc/${pid}/net/dev`, 'utf8')).split('\n');
  const cards = lines.map((line) => line.split(/[\s:]+/).filter(Boolean)).filter(([name = '']) => name in hosts);
  return Object.fromEntries(cards.map(([name, bytes, ...rest]) => [name, { rx: Number(rest[7]), tx: Number(bytes) }]));
}

/** Ends what runs in the namespaces, by pid: kindly, and after two seconds not so. */
async function endProcesses(netnsPaths: string[]): Promise<void> {
  const ids = await Promise.all(netnsPaths.map(async (path) => `net:[${(await stat(path)).ino}]`));
  const what = 'the end of what runs in the hosts';
  const none = async (signal?: NodeJS.Signals): Promise<boolean> => {
    const pids = await processesIn(ids);
    if (signal) for (const pid of pids) kill(pid, signal);
    return pids.length === 0;
  };
  if (await none('SIGTERM')) return;
  await waitFor(() => none(), { what, timeoutMs: 2000 }).catch(() => waitFor(() => none('SIGKILL'), { what }));
}

async function processesIn(netnsIds: string[]): Promise<number[]> {
  const pids = (await readdir('/proc')).filter((name) => /^\d+$/.test(name));
  const ids = await Promise.all(pids.map((pid) => readlink(`/proc/${pid}/ns/net`).catch(() => '')));
  return pids.filter((_, i) => netnsIds.includes(ids[i] ?? '')).map(Number);
}

function kill(pid: number, signal: NodeJS.Signals): void {
  try {
    process.kill(pid, signal);
  } catch {
    // it has ended meanwhile
  }
}
