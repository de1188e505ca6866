// The lab from outside: sets up what is missing, boots, prints what happens inside, stays up until it is told to end.
import { existsSync } from 'node:fs';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { connect, createServer, type Server } from 'node:net';
import { tmpdir } from 'node:os';
import { dirname, join, resolve } from 'node:path';
import { pipeline } from 'node:stream';
import { execa } from 'execa';
import { serveConsoles } from './consoles.ts';
import type { Event, Settings } from './events.ts';
import { ports } from './parts.ts';
import { createPrinter, picture } from './print.ts';
import { guestAddress } from './slirp.ts';
import { type Guest, NotAllowed, startGuest } from './uml.ts';
import { findUp, removeUp, writeUp } from './up.ts';

export interface LabFlags {
  check: boolean;
  realServers: number;
  mbit: number;
  seconds: number;
  port?: number;
  native: boolean;
  json?: string;
}

const here = import.meta.dirname;

/** Runs the lab to its end; gives the exit code. */
export async function runLab(flags: LabFlags): Promise<number> {
  const json = flags.json && resolve(process.env.INIT_CWD ?? '.', flags.json);
  if (json && !existsSync(dirname(json))) {
    console.error(`--json: there is no folder ${dirname(json)}`);
    return 2;
  }
  if (!flags.check && (await isUp()))
    throw new Error(
      'A lab is up here already: npm run lab -- shell HOST opens a shell in it, npm run lab -- down ends it.',
    );
  if (flags.native) await requireNative();
  const words = ['packages', 'build', ...(flags.native ? ['--native'] : [])];
  const setup = await execa('bash', [join(here, 'setup.sh'), ...words], { stdio: 'inherit', reject: false });
  if (setup.exitCode !== 0) return setup.exitCode ?? 1;
  const port = flags.check ? undefined : await freePort(flags.port);
  const folder = await mkdtemp(join(tmpdir(), `dsr-lab-${process.pid}-`));
  try {
    return await boot({ flags, folder, port, json });
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

interface Boot {
  flags: LabFlags;
  /** Only for us; the guest can write it. */
  folder: string;
  port: number | undefined;
  json: string | undefined;
}

async function boot({ flags, folder, port, json }: Boot): Promise<number> {
  const { realServers, mbit, seconds, native } = flags;
  const print = createPrinter(process.stdout);
  print({ type: 'note', lines: picture(realServers, mbit) });
  print({
    type: 'step',
    title: 'Boot a kernel',
    means: native
      ? "this machine's own, with the hosts in namespaces of their own"
      : 'a real Linux, as an ordinary process (User Mode Linux); it can write to nothing of this machine',
  });
  const apiSocket = join(folder, 'api');
  const apiBinds = native ? [`unix@${apiSocket}`] : [`${guestAddress}:${ports.controller}`];
  const settings: Settings = { realServers, mbit, seconds, stay: !flags.check, apiBinds: port ? apiBinds : [] };
  const servers: Server[] = [];
  let up = false;
  let ended: number | Error | undefined; // why it ends before the guest does: an exit code, or what failed
  let told = Promise.resolve();
  const guest = await startGuest({
    argv: [process.execPath, '--import', 'tsx', join(here, 'show.ts'), JSON.stringify(settings)],
    memory: `${1500 + 150 * realServers}M`,
    native,
    pinned: true,
    share: [folder],
    onOutput: eachLine((line) => {
      told = told.then(() => hear(line)).catch(end);
    }),
    ...(port && !native && { ports: [{ host: port, guest: ports.controller }], shells: 8 }),
  });
  function end(why: number | Error): void {
    ended ??= why;
    guest.kill();
  }
  const endKindly = (): void => end(up ? 0 : 130);
  const signals = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const;
  for (const signal of signals) process.on(signal, endKindly);

  async function hear(line: string): Promise<void> {
    const event = parseEvent(line);
    if (!event) return console.error(line);
    print(event);
    if (event.type === 'result' && json) await writeFile(json, `${JSON.stringify(event.result, null, 2)}\n`);
    if (event.type !== 'up' || !port) return;
    const socket = join(folder, 'consoles');
    servers.push(serveConsoles(socket, guest, endKindly));
    if (native) servers.push(forward(port, apiSocket));
    else await guest.reachable;
    await writeUp({ socket, enter: event.enter, native: native ? await enterNative(guest) : undefined });
    up = true;
    print({ type: 'note', lines: howTo(port, Object.keys(event.enter)) });
  }

  try {
    const code = await guest.exited.catch((error) => end(error));
    await told;
    if (ended instanceof Error) throw ended;
    if (ended !== undefined) print({ type: 'note', lines: ['The lab has ended; nothing of it is left.'] });
    return ended ?? code ?? 1;
  } finally {
    for (const server of servers) server.close();
    if (servers.length > 0) await removeUp();
    for (const signal of signals) process.off(signal, endKindly);
  }
}

/** From a port of 127.0.0.1 to a Unix socket. */
function forward(port: number, socket: string): Server {
  const server = createServer((client) => {
    client.unref();
    pipeline(client, connect(socket), client, () => {}); // either side may break off
  });
  return server.listen(port, '127.0.0.1');
}

function howTo(port: number, hosts: string[]): string[] {
  return [
    'The lab stays up, to look around. Ctrl-C ends it. From another terminal:',
    `  http://127.0.0.1:${port}/                           the dashboard, in a browser`,
    `  node dist/src/cli/dsrctl.js --controller http://127.0.0.1:${port} status     the same in the terminal`,
    `  curl http://127.0.0.1:${port}/v1/status?pool=web     the controller's API (its own address in the lab is 192.0.2.10:7100)`,
    `  npm run lab -- shell rs1                         a shell in a host: ${hosts.join(', ')}`,
    '  npm run lab -- down                              ends the lab',
    'The logs of a host are in its /run/dsr-lab/lab/HOST.',
  ];
}

async function isUp(): Promise<boolean> {
  const up = await findUp();
  up?.connection.destroy();
  return up !== undefined;
}

async function requireNative(): Promise<void> {
  if (process.getuid?.() !== 0) throw new NotAllowed('--native is for root');
  if (existsSync('/proc/net/ip_vs')) return;
  const { failed } = await execa('modprobe', ['ip_vs'], { reject: false });
  if (failed) throw new NotAllowed("--native: this machine's kernel has no ip_vs");
}

/** What enters the namespaces that the guest's process made on this machine. */
async function enterNative(guest: Guest): Promise<string[]> {
  const { stdout } = await execa('pgrep', ['--parent', String(guest.pid)]);
  return ['nsenter', '--target', stdout.trim(), '--mount', '--pid', '--net', '--uts', '--ipc', '--'];
}

/** The wanted port; without a wish 7100, or if that is taken any. */
async function freePort(wanted?: number): Promise<number> {
  const tried = await bind(wanted ?? ports.controller);
  if (tried) return tried;
  if (wanted) throw new Error(`--port: port ${wanted} of 127.0.0.1 is in use; choose another one.`);
  return (await bind(0)) ?? 0;
}

function bind(port: number): Promise<number | undefined> {
  return new Promise((done) => {
    const server = createServer();
    server.on('error', () => done(undefined));
    server.listen(port, '127.0.0.1', () => {
      const address = server.address();
      server.close(() => done(typeof address === 'object' ? address?.port : undefined));
    });
  });
}

function parseEvent(line: string): Event | undefined {
  if (!line.startsWith('{"type":')) return undefined;
  return JSON.parse(line) as Event;
}

function eachLine(take: (line: string) => void): (chunk: Buffer) => void {
  const decoder = new TextDecoder();
  let rest = '';
  return (chunk) => {
    const lines = (rest + decoder.decode(chunk, { stream: true })).split('\n');
    rest = lines.pop() ?? '';
    for (const line of lines) take(line);
  };
}
