import { endianness } from 'node:os';
import { kernelError } from './errors.ts';
import * as libc from './libc.ts';
import { attachFilter, type Instruction } from './socket-filter.ts';
import { AF_PACKET, SOCK_RAW } from './socket-numbers.ts';

/** A raw socket on one interface that gets the frames of one Ethernet type that pass `filter` (packet(7)). Throws KernelError. */
export function openPacketSocket(index: number, etherType: number, filter?: readonly Instruction[]): number {
  const doing = 'open a packet socket';
  // Protocol 0: no frame comes in before the filter is in place.
  const fd = libc.socket(AF_PACKET, SOCK_RAW, 0);
  if (fd < 0) throw kernelError(doing, { errno: -fd });
  const failed = (filter ? attachFilter(fd, filter) : 0) || libc.bind(fd, sockaddr(index, etherType));
  if (failed < 0) {
    libc.close(fd);
    throw kernelError(doing, { errno: -failed });
  }
  return fd;
}

const LITTLE = endianness() === 'LE';

/** struct sockaddr_ll (linux/if_packet.h). */
function sockaddr(index: number, etherType: number): Uint8Array {
  const view = new DataView(new ArrayBuffer(20));
  view.setUint16(0, AF_PACKET, LITTLE);
  view.setUint16(2, etherType);
  view.setInt32(4, index, LITTLE);
  return new Uint8Array(view.buffer);
}
