// The machines of the Vagrantfile, reached by ssh as Vagrant reaches them.
import { spawn } from 'node:child_process';
import { appendFile, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { execa } from 'execa';
import { addressesOf, type Counters } from '../lab/hosts.ts';
import type { Measured, MeasuredHost } from '../lab/traffic.ts';

const repository = join(import.meta.dirname, '../..');
const fetchProgram = '/tmp/dsr-fetch.mjs';

export interface Machine extends MeasuredHost {
  /** Runs lines of shell there as an ordinary user, who may use sudo, and gives what they print. */
  run: (script: string, options?: { input?: string; timeoutMs?: number }) => Promise<string>;
}

export interface Machines extends Measured {
  client: Machine;
  router: Machine;
  director: Machine;
  realServers: Machine[];
  hosts: Record<string, Machine>;
  /** Speed of the cards on the LAN that they were made with, Mbit/s. */
  mbit: number;
  /** Ends the connections; the machines stay. */
  close: () => Promise<void>;
}

/** Connects to the machines, which must be up. */
export async function openMachines(): Promise<Machines> {
  const folder = await mkdtemp(join(tmpdir(), 'dsr-'));
  const config = join(folder, 'ssh');
  const { stdout } = await execa('vagrant', ['ssh-config'], { cwd: repository, stderr: 'inherit' });
  await writeFile(config, `${stdout}\n`);
  // One connection for many commands, which ends soon after a machine did.
  await appendFile(
    config,
    `Host *
  ControlMaster auto
  ControlPersist 60
  ControlPath ${folder}/%C
  ConnectTimeout 10
  ServerAliveInterval 5
  ServerAliveCountMax 2
`,
  );
  const all = addressesOf().map((host) => machine(config, host));
  const hosts = Object.fromEntries(all.map((one) => [one.name, one]));
  const host = (name: string): Machine => hosts[name] as Machine;
  const realServers = all.filter(({ name }) => /^rs\d+$/.test(name));
  const director = host('director');
  const cards = new Map(await Promise.all(all.map(async (one) => [one.name, await cardOf(one)] as const)));
  const watches = all.map((one) => watchCard(one, cards.get(one.name) ?? ''));
  const { speedMbit } = JSON.parse(await director.run('sudo cat /etc/dsr/controller.json')) as { speedMbit: number };
  await layFetchProgram(folder, host('client'));
  return {
    client: host('client'),
    router: host('router'),
    director,
    realServers,
    hosts,
    mbit: speedMbit,
    fetchCommand: ['node', fetchProgram],
    lanCard: cards.get('router') ?? '',
    counters: async () =>
      Object.fromEntries(await Promise.all(watches.map(async ({ name, read }) => [name, await read()] as const))),
    setSpeed: async (mbit) => {
      for (const one of [director, ...realServers])
        await one.run(
          `sudo tc qdisc replace dev ${cards.get(one.name)} root tbf rate ${mbit}mbit burst 256k latency 100ms`,
        );
    },
    close: async () => {
      for (const { end } of watches) end();
      await Promise.all(all.map(({ name }) => execa('ssh', ['-F', config, '-O', 'exit', name], { reject: false })));
      await rm(folder, { recursive: true });
    },
  };
}

function machine(config: string, host: Pick<MeasuredHost, 'name' | 'ip' | 'mac'>): Machine {
  const ssh = (command: string): string[] => ['ssh', '-F', config, host.name, '--', command];
  return {
    ...host,
    enter: (argv) => ssh(['sudo', '--', ...argv].map(quote).join(' ')),
    run: async (script, { input = '', timeoutMs = 600_000 } = {}) => {
      const [file = '', ...rest] = ssh(`sh -euc ${quote(script)}`);
      const { stdout } = await execa(file, rest, { input, timeout: timeoutMs });
      return stdout;
    },
  };
}

const quote = (word: string): string => `'${word.replaceAll("'", "'\\''")}'`;

/** The name of the card with the machine's address. */
const cardOf = ({ mac, run }: Machine): Promise<string> =>
  run(`for card in /sys/class/net/*; do
  [ "$(cat "$card/address")" != '${mac}' ] || basename "$card"
done`);

interface Watch {
  name: string;
  read: () => Promise<Counters>;
  end: () => void;
}

/** Reads a card's counters without starting anything: that would take time from the traffic that is measured. */
function watchCard({ name, enter }: Machine, card: string): Watch {
  const script = `cd /sys/class/net/${card}/statistics
while read -r _; do read -r rx <rx_bytes; read -r tx <tx_bytes; echo "$rx $tx"; done`;
  const [file = '', ...rest] = enter(['sh', '-c', script]);
  const child = spawn(file, rest, { stdio: ['pipe', 'pipe', 'inherit'] });
  const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
  return {
    name,
    read: async () => {
      child.stdin.write('\n');
      const { value, done } = await lines.next();
      if (done) throw new Error(`the connection to ${name} has ended`);
      const [rx = 0, tx = 0] = (value as string).split(' ').map(Number);
      return { rx, tx };
    },
    end: () => child.stdin.end(),
  };
}

/** The client has Node.js, but not what runs TypeScript. */
async function layFetchProgram(folder: string, client: Machine): Promise<void> {
  const options = '--target es2023 --module nodenext --types node --skipLibCheck --ignoreConfig'.split(' ');
  const argv = ['--no-install', 'tsc', 'infra/lab/fetch.ts', '--outDir', folder, ...options];
  await execa('npx', argv, { cwd: repository, stdout: 'inherit', stderr: 'inherit' });
  const { stdout } = await execa('cat', [join(folder, 'fetch.js')]);
  await client.run(`cat >${fetchProgram}`, { input: stdout });
}
