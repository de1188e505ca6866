// One host: namespaces for its network, its name and its mounts, so that it has its own card, machine id, /sys and
// /var/lib/dsr.
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { closeSync, openSync } from 'node:fs';
import { mkdir, readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { execa, type Options, type ResultPromise } from 'execa';

export interface Host {
  name: string;
  ip: string;
  ip6: string;
  mac: string;
  netnsPath: string;
  /** A folder for logs and configuration; gone with the host. */
  dir: string;
  /** What to run to get `argv` run in this host. */
  enter: (argv: string[]) => string[];
  /** Runs a command in this host, as execa does. */
  exec: <T extends Options = Record<never, never>>(argv: string[], options?: T) => ResultPromise<T>;
  /** Starts a program in this host, its output in `dir`/NAME.log. */
  spawn: (name: string, argv: string[], options?: { env?: Record<string, string> }) => Program;
  /** Plugs in or pulls out its network cable, at the other end. */
  cable: (state: 'up' | 'down') => Promise<void>;
}

export interface Program {
  name: string;
  pid: number;
  log: string;
  /** Resolves with the exit code, or the signal that ended it. */
  ended: Promise<number | NodeJS.Signals>;
  /** Sends a signal and waits for the end. Default SIGTERM. */
  end: (signal?: NodeJS.Signals) => Promise<number | NodeJS.Signals>;
  /** What it wrote last. */
  tail: () => Promise<string>;
}

/** How a host is wired: `peer` is the other end's name in the namespace `peerNetns`. */
export interface Wiring {
  name: string;
  netns: string;
  dir: string;
  ip: string;
  ip6: string;
  mac: string;
  gateway?: { ip: string; ip6: string };
  peer: string;
  peerNetns: string;
  /** Words for `tc qdisc add dev eth0 root`. */
  qdisc?: string;
  /** Shell commands run at the end of its making. */
  setup?: string;
}

/** Makes a host with one card, eth0, plugged into another namespace. */
export async function makeHost(wiring: Wiring): Promise<Host> {
  const { name, netns, dir, ip, ip6, mac, peer, peerNetns } = wiring;
  const namespaces = namespaceFiles(wiring);
  const etc = join(dir, 'etc');
  await mkdir(etc, { recursive: true });
  await mkdir(join(dir, 'state'));
  await writeFile(join(etc, 'machine-id'), `${Buffer.from(netns.padEnd(16).slice(-16)).toString('hex')}\n`);
  await writeFile(join(etc, 'hostname'), `${name}\n`);
  for (const file of Object.values(namespaces)) await writeFile(file, '');
  const flags = Object.entries(namespaces).map(([kind, file]) => `--${kind}=${file}`);
  await execa('unshare', [...flags, 'sh', '-ec', script(wiring)]);
  const enter = (argv: string[]): string[] => ['nsenter', ...flags, '--wd=.', '--', ...argv];
  return {
    name,
    ip,
    ip6,
    mac,
    netnsPath: namespaces.net,
    dir,
    enter,
    exec: <T extends Options>(argv: string[], options?: T) => {
      const [file = '', ...rest] = enter(argv);
      return execa(file, rest, options) as unknown as ResultPromise<T>;
    },
    spawn: (program, argv, options = {}) =>
      startProgram(program, enter(argv), join(dir, `${program}.log`), options.env),
    cable: async (state) => {
      await execa('ip', ['-n', peerNetns, 'link', 'set', peer, state]);
    },
  };
}

/** Removes hosts' namespaces; what runs in them must have been ended. */
export async function removeHosts(wirings: Wiring[]): Promise<void> {
  const files = wirings.flatMap((wiring) => Object.values(namespaceFiles(wiring)));
  await execa('umount', ['-l', ...files]);
  await Promise.all(files.map((file) => rm(file)));
}

function namespaceFiles({ netns, dir }: Wiring): { net: string; uts: string; mount: string } {
  return { net: `/run/netns/${netns}`, uts: join(dir, 'uts'), mount: join(dir, 'mount') };
}

/** Addresses are usable at once: no duplicate address detection for what the lab itself gives out. */
function script({ name, dir, ip, ip6, mac, gateway, peer, peerNetns, qdisc, setup }: Wiring): string {
  const linkLocal = `fe80::${mac.replaceAll(':', '').slice(-4)}`;
  return `
echo ${name} > /proc/sys/kernel/hostname
mount -t sysfs none /sys
mkdir -p /var/lib/dsr
mount --bind ${dir}/state /var/lib/dsr
for file in machine-id hostname; do
  [ ! -e /etc/$file ] || mount --bind ${dir}/etc/$file /etc/$file
done
ip -batch - <<END
link set lo up
link add eth0 address ${mac} type veth peer name ${peer} netns ${peerNetns}
link set eth0 addrgenmode none
address add ${ip}/24 dev eth0
address add ${ip6}/64 dev eth0 nodad
address add ${linkLocal}/64 dev eth0 nodad
link set eth0 up
${gateway ? `route add default via ${gateway.ip}\nroute add default via ${gateway.ip6}` : ''}
END
${qdisc ? `tc qdisc add dev eth0 root ${qdisc}` : ''}
${setup ?? ''}`;
}

/** Starts a program, its output in a file. */
export function startProgram(name: string, argv: string[], log: string, env?: Record<string, string>): Program {
  const file = openSync(log, 'a');
  const [command = '', ...rest] = argv;
  const child: ChildProcess = spawn(command, rest, { stdio: ['ignore', file, file], env: { ...process.env, ...env } });
  closeSync(file);
  const ended = once(child, 'exit').then(([code, signal]) => code ?? signal);
  return {
    name,
    pid: child.pid ?? 0,
    log,
    ended,
    end: (signal = 'SIGTERM') => {
      child.kill(signal);
      return ended;
    },
    tail: async () => `${log}:\n${(await readFile(log, 'utf8')).slice(-2000)}`,
  };
}
