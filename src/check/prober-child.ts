import { type ChildProcess, spawn } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { extname } from 'node:path';
import { fileURLToPath } from 'node:url';
import { proberAddresses, proberLinkLocal, proberMac } from '../core/prober-address.ts';
import { addChildLink } from '../kernel/child-link.ts';
import type { openRoutes } from '../kernel/prober-network.ts';
import type { FromProcess, ToProcess } from './messages.ts';
import type { ProberOptions } from './probe.ts';

/** The director's interface, as it was when the process's link was made of it. */
export interface Parent {
  index: number;
  name: string;
  mac: string;
}

/** The prober's process, which has its link and takes targets. */
export interface ProberChild {
  parent: Parent;
  send(message: ToProcess): void;
  /** In words; resolves when the process has ended. */
  ended: Promise<string>;
  /** Kindly, and after two seconds not so. */
  end(): Promise<void>;
  kill(): void;
}

export interface ProberChildOptions extends Pick<ProberOptions, 'link' | 'addresses' | 'programs'> {
  parent: Parent;
  netlink: ReturnType<typeof openRoutes>;
  onMessage: (message: FromProcess) => void;
  /** Ends the process while it starts. */
  signal: AbortSignal;
}

const START_MS = 30_000;
const END_MS = 2000;
const LAST_WORDS_MS = 200;
const LINK = 'probe0';
/** linux/capability.h */
const CAP_SETPCAP = 1n << 8n;

/** Starts the process in a namespace of its own and gives it a link. Rejects with what is wrong, in words. */
export async function startProberChild(options: ProberChildOptions): Promise<ProberChild> {
  const { parent, link, addresses, programs, netlink, onMessage, signal } = options;
  signal.throwIfAborted();
  const child = spawnProcess();
  const heard = new Map<string, () => void>();
  let failure: string | undefined;
  child.on('message', (message: FromProcess) => {
    if (message.type === 'failed') failure = message.words;
    heard.get(message.type)?.();
    onMessage(message);
  });
  const ended = endOf(child, () => failure);
  const hears = (type: FromProcess['type']) => new Promise<void>((resolve) => heard.set(type, resolve));
  const broken = ended.then((words) => {
    throw new Error(words);
  });
  broken.catch(() => {});
  const abort = () => child.kill('SIGKILL');
  signal.addEventListener('abort', abort);
  const late = setTimeout(() => {
    failure ??= `the prober did not start in ${START_MS / 1000} s`;
    abort();
  }, START_MS);
  const send = (message: ToProcess) => {
    if (child.connected) child.send(message, () => {});
  };
  try {
    const ready = hears('ready');
    await Promise.race([hears('hello'), broken]);
    // unshare has become node by exec, so that the process that was spawned is the one in the namespace.
    addChildLink(netlink, { kind: link, parent, name: LINK, mac: proberMac(parent.mac) }, child.pid ?? 0);
    const own = proberAddresses(parent.mac, addresses);
    send({ type: 'start', link: LINK, addresses: own, linkLocal: proberLinkLocal(parent.mac), programs });
    await Promise.race([ready, broken]);
  } catch (error) {
    abort();
    await ended;
    throw error;
  } finally {
    clearTimeout(late);
    signal.removeEventListener('abort', abort);
  }
  return {
    parent,
    send,
    ended,
    end: async () => {
      const timer = setTimeout(abort, END_MS);
      if (child.connected) child.disconnect();
      await ended;
      clearTimeout(timer);
    },
    kill: abort,
  };
}

function spawnProcess(): ChildProcess {
  const file = new URL(`./prober-process${extname(import.meta.filename)}`, import.meta.url);
  const node = [process.execPath, ...process.execArgv.filter((word) => !/^--(inspect|debug)/.test(word))];
  return spawn('unshare', ['--net', '--', ...withoutAdmin(), ...node, fileURLToPath(file)], {
    stdio: ['ignore', 'ignore', 'pipe', 'ipc'],
    // What unshare says is looked at.
    env: { ...process.env, LC_ALL: 'C' },
  });
}

/**
 * Making the namespace needs CAP_SYS_ADMIN; what then speaks with the network has it no more, nor have the programs that
 * it runs, where this process may take it away (capabilities(7), CAP_SETPCAP).
 */
function withoutAdmin(): string[] {
  const effective = /^CapEff:\s+(\w+)$/m.exec(readFileSync('/proc/self/status', 'utf8'))?.[1] ?? '0';
  const mayDrop = (BigInt(`0x${effective}`) & CAP_SETPCAP) !== 0n;
  return mayDrop ? ['setpriv', '--bounding-set=-sys_admin,-setpcap', '--inh-caps=-sys_admin,-setpcap', '--'] : [];
}

/** Resolves with why the process ended, in words. */
function endOf(child: ChildProcess, failure: () => string | undefined): Promise<string> {
  let said = '';
  child.stderr?.on('data', (chunk: Buffer) => {
    said = `${said}${chunk}`.slice(-2000);
  });
  return new Promise((resolve) => {
    child.on('error', (error: NodeJS.ErrnoException) => {
      if (child.pid !== undefined) return;
      const missing = 'the program unshare, which makes the prober’s network namespace, is missing: install util-linux';
      resolve(error.code === 'ENOENT' ? missing : `the prober cannot be started: ${error.message}`);
    });
    child.on('exit', (code, signal) => {
      const how = signal ? `by signal ${signal}` : `with exit code ${code}`;
      const end = () => resolve(failure() ?? unshareRefused(said) ?? `the prober ended ${how}${lastLine(said)}`);
      // Its last words may still be on their way; a program of an exec check may hold the pipe for longer.
      child.stderr?.once('close', end);
      setTimeout(end, LAST_WORDS_MS);
    });
  });
}

function unshareRefused(said: string): string | undefined {
  if (/^unshare: .*(not permitted|Permission denied)/m.test(said))
    return 'missing privilege to make a network namespace for the prober: run as root or with CAP_SYS_ADMIN (a container: --cap-add SYS_ADMIN, and a seccomp profile that allows unshare)';
  if (/^unshare: failed to execute setpriv/m.test(said))
    return 'the program setpriv, which takes CAP_SYS_ADMIN from the prober, is missing: install util-linux';
  if (/^unshare: .*No space left/m.test(said))
    return 'no more network namespaces are allowed here: raise user.max_net_namespaces';
  if (/^unshare: .*Invalid argument/m.test(said))
    return 'this kernel has no network namespaces (CONFIG_NET_NS), without which real servers cannot be checked';
  return undefined;
}

function lastLine(said: string): string {
  const lines = said.trim().split('\n');
  const line = lines.find((line) => /^\w*Error\b/.test(line)) ?? lines.at(-1) ?? '';
  return line === '' ? '' : `: ${line.trim()}`;
}
