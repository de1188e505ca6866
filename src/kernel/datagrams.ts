import { constants } from 'node:os';
import { connectError, openConnection, type Peer } from './inet.ts';
import * as libc from './libc.ts';

/** A connected UDP socket. */
export interface DatagramSocket {
  /** Throws KernelError. */
  send(bytes: Uint8Array): void;
  /** The next datagram. Rejects with KernelError, or with the signal's reason. One at a time. */
  receive(signal: AbortSignal): Promise<Uint8Array>;
  close(): void;
}

/** Opens a UDP socket to `peer`. Throws KernelError. */
export function openDatagrams(peer: Omit<Peer, 'protocol'>): DatagramSocket {
  const to: Peer = { ...peer, protocol: 'udp' };
  const { fd } = openConnection(to);
  let open = true;
  let stopWaiting = () => {};

  /** The next datagram, or undefined where none waits. */
  const take = (): Uint8Array | undefined => {
    const length = libc.recv(fd, scratch);
    if (length === -constants.errno.EAGAIN || length === -constants.errno.EINTR) return undefined;
    if (length < 0) throw connectError(to, -length);
    return Uint8Array.from(scratch.subarray(0, Math.min(length, scratch.length)));
  };

  return {
    send(bytes) {
      const sent = libc.send(fd, bytes);
      if (sent < 0) throw connectError(to, -sent);
    },
    async receive(signal) {
      signal.throwIfAborted();
      for (let found = take(); ; found = take()) {
        if (found) return found;
        await new Promise<void>((resolve, reject) => {
          const aborted = () => {
            stopWaiting();
            reject(signal.reason);
          };
          const reader = libc.onReadable(fd, () => {
            stopWaiting();
            resolve();
          });
          stopWaiting = () => {
            reader.close();
            signal.removeEventListener('abort', aborted);
            stopWaiting = () => {};
          };
          signal.addEventListener('abort', aborted, { once: true });
        });
      }
    },
    close() {
      if (!open) return;
      open = false;
      stopWaiting();
      libc.close(fd);
    },
  };
}

// The largest UDP datagram is smaller.
const scratch = Buffer.alloc(1 << 16);
