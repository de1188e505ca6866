import { endianness } from 'node:os';
import { codeOf } from './errors.ts';
import * as libc from './libc.ts';
import { AF_UNIX, SOCK_DGRAM } from './socket-numbers.ts';

const RETRY_MS = 100;
/** sizeof sun_path (unix(7)). */
const PATH_BYTES = 108;

/** What started this process and asked to be told how it does (sd_notify(3)): systemd. */
export interface ServiceManager {
  /** At least so often it must hear WATCHDOG=1, milliseconds; undefined: it does not ask for that. */
  watchdogMs: number | undefined;
  /** Sends assignments such as READY=1. Never waits; what cannot be sent now is tried again, with what came after it. */
  tell(assignments: Readonly<Record<string, string>>): void;
}

/**
 * Answers who listens at NOTIFY_SOCKET, if anybody does. Takes the variables out of `env`, so that no process that is
 * started later speaks for this one.
 */
export function openServiceManager(env: NodeJS.ProcessEnv): ServiceManager | undefined {
  const { NOTIFY_SOCKET: path = '', WATCHDOG_USEC: usec, WATCHDOG_PID: pid } = env;
  for (const name of ['NOTIFY_SOCKET', 'WATCHDOG_USEC', 'WATCHDOG_PID']) delete env[name];
  const address = unixAddress(path);
  if (!address) return undefined;
  const watchdogMs = Number(usec) / 1000;
  const isMeant = watchdogMs > 0 && (pid === undefined || Number(pid) === process.pid);
  let waiting: Record<string, string> = {};
  let timer: NodeJS.Timeout | undefined;
  const flush = () => {
    timer = undefined;
    const lines = Object.entries(waiting).map(([key, value]) => `${key}=${value.replaceAll('\n', ' ')}`);
    if (sendTo(address, Buffer.from(lines.join('\n')))) waiting = {};
    else timer = setTimeout(flush, RETRY_MS).unref();
  };
  return {
    watchdogMs: isMeant ? watchdogMs : undefined,
    tell(assignments) {
      waiting = { ...waiting, ...assignments };
      if (!timer) flush();
    },
  };
}

/** struct sockaddr_un of a path, or of a name in the abstract namespace, which begins with "@"; undefined for anything else. */
function unixAddress(path: string): Uint8Array | undefined {
  const name = Buffer.from(path);
  if (!/^[/@]./.test(path) || name.length >= PATH_BYTES) return undefined;
  if (path.startsWith('@')) name[0] = 0;
  const family = Buffer.alloc(2);
  if (endianness() === 'LE') family.writeUInt16LE(AF_UNIX);
  else family.writeUInt16BE(AF_UNIX);
  return Buffer.concat([family, name]);
}

/** False when the queue of the other side is full; whoever is not there is not waited for. */
function sendTo(address: Uint8Array, bytes: Uint8Array): boolean {
  const fd = libc.socket(AF_UNIX, SOCK_DGRAM, 0);
  if (fd < 0) return false;
  try {
    const connected = libc.connect(fd, address);
    const sent = connected < 0 ? connected : libc.send(fd, bytes);
    return sent >= 0 || codeOf(-sent) !== 'EAGAIN';
  } finally {
    libc.close(fd);
  }
}
