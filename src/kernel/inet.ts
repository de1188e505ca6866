import { constants } from 'node:os';
import { familyOf, toBytes, withPort } from '../core/address.ts';
import { type Advice, type KernelError, kernelError } from './errors.ts';
import * as libc from './libc.ts';
import * as N from './socket-numbers.ts';

/** Where a socket goes, and the mark that its packets are routed by; 0 is none. */
export interface Peer {
  address: string;
  port: number;
  protocol: 'tcp' | 'udp';
  mark: number;
}

/** A socket that is connected, or about to be: then {@link whenConnected} tells. The caller closes it. Throws KernelError. */
export function openConnection(peer: Peer): { fd: number; connecting: boolean } {
  const ipv4 = familyOf(peer.address) === 'ipv4';
  const fd = libc.socket(ipv4 ? N.AF_INET : N.AF_INET6, N.SOCK[peer.protocol], 0);
  if (fd < 0) throw connectError(peer, -fd);
  const marked = peer.mark === 0 ? 0 : libc.setsockopt(fd, N.SOL_SOCKET, N.SO_MARK, libc.int32(peer.mark));
  const result = marked < 0 ? marked : libc.connect(fd, sockaddr(peer));
  if (result < 0 && result !== -constants.errno.EINPROGRESS) {
    libc.close(fd);
    throw connectError(peer, -result);
  }
  return { fd, connecting: result < 0 };
}

/** Rejects with KernelError, or with the signal's reason; the socket stays the caller's. */
export function whenConnected(fd: number, peer: Peer, signal: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    const aborted = () => {
      poll.close();
      reject(signal.reason);
    };
    const poll = libc.onWritable(fd, () => {
      signal.removeEventListener('abort', aborted);
      const error = libc.getsockopt(fd, N.SOL_SOCKET, N.SO_ERROR);
      if (error === 0) resolve();
      else reject(connectError(peer, Math.abs(error)));
    });
    signal.addEventListener('abort', aborted, { once: true });
  });
}

/** Lets close(2) reset the connection: no TIME_WAIT stays behind, of which many checks would use up the ports (socket(7)). */
export function resetOnClose(fd: number): void {
  libc.setsockopt(fd, N.SOL_SOCKET, N.SO_LINGER, new Uint8Array(Int32Array.of(1, 0).buffer));
}

/** A refusal of a socket that goes to `peer`. */
export const connectError = (peer: Peer, errno: number): KernelError =>
  kernelError(`connect to ${withPort(peer.address, peer.port)}`, { errno }, advice);

const advice: Advice = {
  EPERM: 'a local packet filter forbids it, or CAP_NET_ADMIN is missing',
  EACCES: 'a local packet filter forbids it',
  EMFILE: 'too many files are open; raise the limit (LimitNOFILE= in a systemd unit)',
  ENOBUFS:
    'the table of neighbors is full; raise net.ipv4.neigh.default.gc_thresh3 and net.ipv6.neigh.default.gc_thresh3',
  EADDRNOTAVAIL: 'no local port or address is free',
};

/** struct sockaddr_in or sockaddr_in6 (ip(7), ipv6(7)). */
export const sockaddr = (of: { address: string; port: number }): Uint8Array =>
  familyOf(of.address) === 'ipv4' ? sockaddrIn(of) : sockaddrIn6(of);

function sockaddrIn({ address, port }: { address: string; port: number }): Uint8Array {
  const bytes = new Uint8Array(16);
  head(bytes, N.AF_INET, port);
  bytes.set(toBytes(address), 4);
  return bytes;
}

function sockaddrIn6({ address, port }: { address: string; port: number }): Uint8Array {
  const bytes = new Uint8Array(28);
  head(bytes, N.AF_INET6, port);
  bytes.set(toBytes(address), 8);
  return bytes;
}

function head(bytes: Uint8Array, family: number, port: number): void {
  bytes.set(new Uint8Array(Uint16Array.of(family).buffer), 0);
  bytes[2] = port >> 8;
  bytes[3] = port & 0xff;
}
