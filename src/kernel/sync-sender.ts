import { readFileSync } from 'node:fs';
import { encodeSync, type SyncEntry } from '../core/handoff/sync-message.ts';
import { kernelError } from './errors.ts';
import { sockaddr } from './inet.ts';
import * as libc from './libc.ts';
import * as N from './socket-numbers.ts';
import { type SyncDaemon, startSyncDaemon } from './sync-daemon.ts';

/** Writes into this kernel's table of IPVS connections. */
export interface SyncSender {
  /**
   * The same tuple with the same destination is changed in place; with another one the old entry ends now. Sent at the end
   * of this turn of the event loop, many in one message; the kernel takes it some milliseconds later.
   */
  enter(entry: SyncEntry): void;
  /** Why nothing that is sent arrives any more; undefined: it does, as far as this host can tell. */
  fault(): Error | undefined;
  /** Messages that the kernel has lost since the start, for want of memory. */
  lost(): number;
  close(): void;
}

/** Where the kernel listens (IP_VS_SYNC_GROUP and IP_VS_SYNC_PORT, net/netfilter/ipvs/ip_vs_sync.c). */
const group = { address: '224.0.0.81', port: 8848 };

/** Starts the sync daemon, and opens the way to it. Throws KernelError. */
export function openSyncSender(): SyncSender {
  const daemon = startSyncDaemon();
  let fd: number;
  try {
    fd = openSocket(daemon);
  } catch (error) {
    daemon.stop();
    throw error;
  }
  let waiting: SyncEntry[] = [];
  let failure: Error | undefined;
  const flush = () => {
    const entries = waiting;
    waiting = [];
    for (const message of encodeSync(daemon.syncId, entries)) {
      const sent = libc.send(fd, message);
      if (sent < 0) failure ??= kernelError('tell IPVS of connections', { errno: -sent });
    }
  };
  const lostBefore = drops();
  return {
    enter(entry) {
      if (waiting.length === 0) setImmediate(flush);
      waiting.push(entry);
    },
    fault() {
      try {
        if (!daemon.isThere()) failure ??= new Error('the sync daemon of IPVS was stopped');
      } catch (error) {
        failure ??= error as Error;
      }
      return failure;
    },
    lost: () => drops() - lostBefore,
    close() {
      flush();
      libc.close(fd);
      daemon.stop();
    },
  };
}

function openSocket({ index }: SyncDaemon): number {
  const doing = 'open the way to the sync daemon';
  const fd = libc.socket(N.AF_INET, N.SOCK_DGRAM, 0);
  if (fd < 0) throw kernelError(doing, { errno: -fd });
  // struct ip_mreqn: by the interface's number, since it has no address.
  const interfaceIs = new Uint8Array(Int32Array.of(0, 0, index).buffer);
  const failed = libc.setsockopt(fd, N.IPPROTO_IP, N.IP_MULTICAST_IF, interfaceIs) || libc.connect(fd, sockaddr(group));
  if (failed < 0) {
    libc.close(fd);
    throw kernelError(doing, { errno: -failed });
  }
  return fd;
}

/** Of the sockets that listen at the group, by the last column of /proc/net/udp. */
function drops(): number {
  const at = /^\s*\d+: 510000E0:2290 .* (\d+)\s*$/gm;
  return [...readFileSync('/proc/net/udp', 'utf8').matchAll(at)].reduce((sum, [, count]) => sum + Number(count), 0);
}
