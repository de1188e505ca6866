// Runs a command as root of a Linux kernel of its own: User Mode Linux, a kernel that is an ordinary process.
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { closeSync, existsSync, openSync, readFileSync } from 'node:fs';
import { copyFile, mkdir, mkdtemp, readdir, readFile, realpath, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import type { Duplex, Readable, Writable } from 'node:stream';
import { forwardPorts, type Port, startSlirp } from './slirp.ts';

export interface GuestOptions {
  /** Program and arguments, run in `cwd` as root. */
  argv: string[];
  /** Default: the repository. */
  cwd?: string;
  /** Added to PATH, HOME, TERM and LANG; nothing else is passed on. */
  env?: Record<string, string>;
  /** TCP ports of the guest to reach from 127.0.0.1 of this machine. */
  ports?: Port[];
  /** Everything that the command writes, as it writes it. Default: standard output. */
  onOutput?: (chunk: Buffer) => void;
  /** Upper limit; it is taken as it is used. Default 2G. */
  memory?: string;
  /** How many consoles wait for commands; see `Guest.consoles`. */
  shells?: number;
  /** Folders of this machine that the guest may write, besides its own work folder. */
  share?: string[];
  /** With the kernel that has iptables: Debian's newer and quicker ones have no firewall for IPv4. */
  firewall?: boolean;
  /** On one core of the machine: its processes hand over to each other, which is quicker so. Not for several guests at once. */
  pinned?: boolean;
  /** No guest: in namespaces of this machine's own kernel, as root. Without ports and shells. */
  native?: boolean;
}

export interface Guest {
  /** The command's exit code; rejects when the guest ended before the command. */
  exited: Promise<number>;
  /** Resolves when the ports can be reached. */
  reachable: Promise<void>;
  /** Each takes a line `ROWS COLUMNS TERM COMMAND`, then is that command's terminal. See guest-console.sh. */
  consoles: Duplex[];
  /** Takes lines `size TTY ROWS COLUMNS` and `hangup TTY`. */
  control: Writable | undefined;
  /** The process, on this machine, whose child is the first one inside. */
  pid: number;
  kill: () => void;
}

const here = import.meta.dirname;
/** setup.sh unpacks those that are not installed there. */
const unpacked = join(here, '../../.lab/uml');
const hidden = ['/tmp', '/var/tmp', '/run', '/var/lib', '/var/log'];

/** Runs a command in a guest of its own and gives its exit code. */
export async function runInGuest(options: GuestOptions & { signal?: AbortSignal }): Promise<number> {
  const guest = await startGuest(options);
  options.signal?.addEventListener('abort', guest.kill);
  if (options.signal?.aborted) guest.kill();
  return guest.exited;
}

/** Boots a guest that runs a command, and powers off when the command has ended. */
export async function startGuest(options: GuestOptions): Promise<Guest> {
  const work = await makeWorkFolder();
  const repository = await realpath(join(here, '../..'));
  const share = [work, ...(options.share ?? [])];
  for (const folder of share) await mkdir(folder, { recursive: true });
  await copyFile(join(here, 'guest-init.sh'), join(work, 'init'));
  await copyFile(join(here, 'guest-console.sh'), join(work, 'console'));
  await writeFile(join(work, 'command'), commandFile(options, repository));
  await writeFile(
    join(work, 'settings'),
    [
      `hidden=${quote(hidden.join('\n'))}`,
      `shown=${quote((await hiddenButNeeded(repository, options.cwd)).join('\n'))}`,
      `shared=${quote(share.join('\n'))}`,
      `modules=${quote(join(folderOf(options), 'lib/uml/modules'))}`,
      `shells=${options.shells ?? 0}`,
      '',
    ].join('\n'),
  );
  const slirp = options.ports?.length ? await startSlirp(work) : undefined;
  const jail = startJail(work, share, options);
  const [lifeline, output, control, ...consoles] = jail.stdio.slice(3) as [Writable, Readable, ...Duplex[]];
  output.on('data', options.onOutput ?? ((chunk) => process.stdout.write(chunk)));
  for (const stream of [lifeline, control, ...consoles]) stream?.on('error', () => {}); // EPIPE: the guest has ended
  const exited = end(jail, output, work).finally(async () => {
    await slirp?.stop();
    await rm(work, { recursive: true, force: true });
  });
  const reachable = slirp ? Promise.race([forwardPorts(work, options.ports ?? []), ended(exited)]) : Promise.resolve();
  reachable.catch(() => {});
  return { exited, reachable, consoles, control, pid: jail.pid ?? 0, kill: () => lifeline.destroy() };
}

function startJail(work: string, share: string[], options: GuestOptions): ChildProcess {
  const unshare = [...(process.getuid?.() === 0 ? [] : ['-r']), '-m', '-p', '-n', '-i', '-u', '-f'];
  const jail = ['busybox', 'sh', join(here, 'jail.sh'), options.native ? 'native' : 'uml', ...share, '--'];
  const command = options.native ? ['sh', join(work, 'command')] : kernel(work, options);
  const log = openSync(join(work, 'kernel.log'), 'a');
  try {
    return spawn('busybox', ['unshare', ...unshare, ...jail, ...command], {
      cwd: '/',
      env: { PATH: process.env.PATH ?? '/usr/sbin:/usr/bin:/sbin:/bin' },
      stdio: ['ignore', log, log, 'pipe', 'pipe', ...consoleNumbers(options).map(() => 'pipe' as const)],
      detached: true, // a terminal's Ctrl-C reaches us, and we end it
    });
  } finally {
    closeSync(log);
  }
}

/** The second console is for control, the following ones for shells; each has a file descriptor. */
function consoleNumbers({ shells = 0 }: GuestOptions): number[] {
  return Array.from({ length: shells > 0 ? shells + 1 : 0 }, (_, i) => i + 2);
}

/** The quickest kernel that there is, or, for a firewall, the distribution's: where its `bin` and `lib` are. */
function folderOf({ firewall }: GuestOptions): string {
  const folders = ['forky', 'bookworm'].slice(firewall ? 1 : 0).map((release) => join(unpacked, release, 'usr'));
  return folders.find((folder) => existsSync(folder)) ?? '/usr';
}

/** Number of the last core that we may use: /proc/self/status, proc_pid_status(5). */
const lastCore = (): string =>
  /^Cpus_allowed_list:.*?(\d+)$/m.exec(readFileSync('/proc/self/status', 'utf8'))?.[1] ?? '0';

function kernel(work: string, options: GuestOptions): string[] {
  const folder = folderOf(options);
  const program = folder === '/usr' ? 'linux.uml' : join(folder, 'bin/linux.uml');
  const pinned = options.pinned ? ['taskset', '-c', lastCore()] : [];
  const words = [
    'seccomp=auto', // of 6.16 and later: not by ptrace, where this machine allows it
    `mem=${options.memory ?? '2G'}`,
    'rootfstype=hostfs root=/dev/root rootflags=/ ro quiet console=ttyS0',
    `uml_dir=${work} umid=uml`,
    'con=null ssl=null ssl0=null,fd:2 con1=null,fd:4',
    ...consoleNumbers(options).map((number) => `con${number}=fd:${number + 3}`),
    ...(options.ports?.length ? [`vec0:transport=bess,dst=${work}/slirp,depth=64`] : []),
    `init=/bin/sh -- ${work}/init`,
  ];
  return [...pinned, program, ...words.join(' ').split(' ')];
}

async function end(jail: ChildProcess, output: Readable, work: string): Promise<number> {
  const drained = once(output, 'close');
  await once(jail, 'exit');
  await drained;
  const code = await readFile(join(work, 'code'), 'utf8').catch(() => '');
  if (code !== '') return Number(code);
  const log = await readFile(join(work, 'kernel.log'), 'utf8');
  if (/^(unshare|lab): /m.test(log)) throw namespacesRefused(log.trim());
  if (log.includes('put_fp_registers') && hasAmx()) throw new KernelTooOld();
  throw new Error(`the guest ended before its command did; the last that its kernel said:\n${log.slice(-2000)}`);
}

/** A privilege or a feature of the kernel is missing. */
export class NotAllowed extends Error {}

/** On namespaces, which keep the guest from writing to this machine. */
function namespacesRefused(said: string): NotAllowed {
  const advice =
    process.getuid?.() === 0
      ? 'A container must be started with --privileged for it.'
      : 'Run it as root, or allow them as root: sysctl -w user.max_user_namespaces=10000 (on Ubuntu also: sysctl -w kernel.apparmor_restrict_unprivileged_userns=0).';
  return new NotAllowed(`This machine does not let us make namespaces (${said}). ${advice}`);
}

/**
 * User Mode Linux 6.1 ends before its first program, in put_fp_registers (arch/x86/um/os-Linux/registers.c): seen with 6.1.176;
 * presumably its buffer for floating point registers is smaller than what such a processor has. 7.2.7 runs.
 */
export class KernelTooOld extends NotAllowed {
  constructor() {
    super(
      "User Mode Linux 6.1, of Debian bookworm, does not start on this machine's processor, which has AMX. A newer one does: " +
        'infra/lab/setup.sh fetches it, of Debian forky, when deb.debian.org can be reached. Only tests of a firewall need the older.',
    );
  }
}

const hasAmx = (): boolean => /^flags\b.* amx_tile\b/m.test(readFileSync('/proc/cpuinfo', 'utf8'));

async function ended(exited: Promise<number>): Promise<never> {
  await exited;
  throw new Error('the guest has ended');
}

/** A folder only for us, with a short path: those of Unix sockets end at 108 bytes. */
async function makeWorkFolder(): Promise<string> {
  const parent = /^[\w./-]{1,60}$/.test(tmpdir()) ? tmpdir() : '/tmp';
  await removeLeftovers(parent);
  const work = await realpath(await mkdtemp(join(parent, `dsr-lab-${process.pid}-`)));
  await mkdir(join(work, 'mnt'));
  return work;
}

/** Only a kill -9 leaves a work folder behind; its name tells whose it was. */
async function removeLeftovers(parent: string): Promise<void> {
  for (const name of await readdir(parent)) {
    const pid = /^dsr-lab-(\d+)-/.exec(name)?.[1];
    if (pid && !(await exists(`/proc/${pid}`))) await rm(join(parent, name), { recursive: true }).catch(() => {});
  }
}

/** What the command needs of the folders that the guest replaces by empty ones. */
async function hiddenButNeeded(repository: string, cwd = repository): Promise<string[]> {
  const modules = await realpath(join(repository, 'node_modules')).catch(() => repository);
  const needed = [repository, modules, dirname(dirname(await realpath(process.execPath))), await realpath(cwd)];
  const under = (path: string, folder: string): boolean => path === folder || path.startsWith(`${folder}/`);
  return needed
    .filter((path) => hidden.some((folder) => under(path, folder)))
    .filter((path, i, all) => !all.some((other, j) => under(path, other) && (path !== other || j < i)));
}

function commandFile({ argv, cwd, env }: GuestOptions, repository: string): string {
  const path = `${dirname(process.execPath)}:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin`;
  // For kernels without the switch that guest-init.sh turns off.
  const noIoUring = { UV_USE_IO_URING: '0' };
  const all = { PATH: path, HOME: '/tmp', TERM: 'dumb', LANG: 'C.UTF-8', ...noIoUring, ...env };
  const words = [...Object.entries(all).map(([name, value]) => `${name}=${value}`), ...argv];
  return `cd ${quote(cwd ?? repository)} || exit 1\nexec env -i ${words.map(quote).join(' ')}\n`;
}

function quote(text: string): string {
  return `'${text.replaceAll("'", "'\\''")}'`;
}

async function exists(path: string): Promise<boolean> {
  return readFile(path).then(
    () => true,
    (error: NodeJS.ErrnoException) => error.code !== 'ENOENT',
  );
}
