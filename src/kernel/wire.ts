import { kernelError } from './errors.ts';
import * as libc from './libc.ts';
import * as N from './socket-numbers.ts';

/** A netlink socket as the transport sees it: datagrams each way, -errno on failure, never blocking. */
export interface Wire {
  /** Sends the first `length` bytes; the kernel has done what they ask, and queued its answer, when this returns. */
  send(bytes: Uint8Array, length: number): number;
  /** Length of the next datagram, more than `into` holds when it was cut short; -EAGAIN when there is none. */
  recv(into: Uint8Array): number;
  /** Starts afresh: no answer waits, no dump is under way. */
  reset(): void;
  close(): void;
}

/** Opens the kernel's netlink socket of one protocol (NETLINK_*). Throws KernelError. */
export function openWire(protocol: number): Wire {
  let fd = openSocket(protocol);
  return {
    send: (bytes, length) => libc.send(fd, bytes, length),
    recv: (into) => libc.recv(fd, into),
    reset() {
      libc.close(fd);
      fd = -1;
      fd = openSocket(protocol);
    },
    close() {
      libc.close(fd);
      fd = -1;
    },
  };
}

/** A bound netlink socket, joined to the multicast `groups` (bit mask of RTMGRP_*). Throws KernelError. */
export function openSocket(protocol: number, groups = 0): number {
  const fd = libc.socket(N.AF_NETLINK, N.SOCK_RAW, protocol);
  if (fd < 0) throw kernelError('open a netlink socket', { errno: -fd });
  const bound = libc.bind(fd, sockaddr(groups));
  if (bound < 0) {
    libc.close(fd);
    throw kernelError('bind a netlink socket', { errno: -bound });
  }
  // None of these is needed: an older kernel answers without its words, or with more than was asked for.
  for (const option of [N.NETLINK_CAP_ACK, N.NETLINK_EXT_ACK, N.NETLINK_GET_STRICT_CHK])
    libc.setsockopt(fd, N.SOL_NETLINK, option, libc.int32(1));
  const size = libc.int32(RECEIVE_BYTES);
  if (libc.setsockopt(fd, N.SOL_SOCKET, N.SO_RCVBUFFORCE, size) < 0)
    libc.setsockopt(fd, N.SOL_SOCKET, N.SO_RCVBUF, size);
  return fd;
}

// Room for the answers to a whole batch, all of them refusals: about 1 KiB of kernel memory each.
const RECEIVE_BYTES = 1 << 20;

/** struct sockaddr_nl (linux/netlink.h); port id 0: the kernel chooses one. */
function sockaddr(groups: number): Uint8Array {
  const bytes = new Uint8Array(12);
  bytes.set(new Uint8Array(Uint16Array.of(N.AF_NETLINK).buffer), 0);
  bytes.set(libc.int32(groups), 8);
  return bytes;
}
