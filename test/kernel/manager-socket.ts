import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Test } from 'tap';
import * as libc from '../../src/kernel/libc.ts';
import { AF_UNIX, SOCK_DGRAM } from '../../src/kernel/socket-numbers.ts';
import { folder } from '../api/site.ts';

/** A service manager's socket, of the real kind: AF_UNIX, datagrams. */
export interface ManagerSocket {
  /** For NOTIFY_SOCKET. */
  path: string;
  /** What waits there now, each message as its assignments. */
  heard(): Record<string, string>[];
  /** The next message that is wanted; what came before it is passed over. */
  hear(wanted: (message: Record<string, string>) => boolean): Promise<Record<string, string>>;
}

/** Binds one in a folder of the test, or under a name of the abstract namespace. */
export function managerSocket(t: Test, path = join(folder(t), 'notify')): ManagerSocket {
  const fd = libc.socket(AF_UNIX, SOCK_DGRAM, 0);
  const address = Buffer.concat([Buffer.from(Uint16Array.of(AF_UNIX).buffer), Buffer.from(path.replace(/^@/, '\0'))]);
  t.equal(libc.bind(fd, address), 0);
  t.teardown(() => libc.close(fd));
  const into = Buffer.alloc(65536);
  const next = () => {
    const length = libc.recv(fd, into);
    if (length < 0) return undefined;
    const lines = into.toString('utf8', 0, length).split('\n');
    return Object.fromEntries(lines.map((line) => [line.replace(/=.*/, ''), line.replace(/^[^=]*=/, '')]));
  };
  const heard = () => {
    const all: Record<string, string>[] = [];
    for (let one = next(); one; one = next()) all.push(one);
    return all;
  };
  return {
    path,
    heard,
    hear: async (wanted) => {
      for (const end = performance.now() + 120_000; performance.now() < end; await sleep(5))
        for (let one = next(); one; one = next()) if (wanted(one)) return one;
      throw new Error('nothing of that kind was said');
    },
  };
}
