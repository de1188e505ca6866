import { endianness } from 'node:os';
import { kernelError } from './errors.ts';
import * as libc from './libc.ts';
import { AF_PACKET, SO_ATTACH_FILTER, SOCK_RAW, SOL_SOCKET } from './socket-numbers.ts';

/** A raw socket on one interface that gets the frames of one Ethernet type that pass `filter` (packet(7)). Throws KernelError. */
export function openPacketSocket(index: number, etherType: number, filter?: readonly Instruction[]): number {
  const doing = 'open a packet socket';
  // Protocol 0: no frame comes in before the filter is in place.
  const fd = libc.socket(AF_PACKET, SOCK_RAW, 0);
  if (fd < 0) throw kernelError(doing, { errno: -fd });
  const failed = (filter ? attach(fd, filter) : 0) || libc.bind(fd, sockaddr(index, etherType));
  if (failed < 0) {
    libc.close(fd);
    throw kernelError(doing, { errno: -failed });
  }
  return fd;
}

/** struct sock_filter (linux/filter.h). */
export type Instruction = readonly [code: number, jumpTrue: number, jumpFalse: number, k: number];

const LITTLE = endianness() === 'LE';

function attach(fd: number, filter: readonly Instruction[]): number {
  const program = Buffer.alloc(filter.length * 8);
  const view = new DataView(program.buffer, program.byteOffset);
  for (const [row, [code, jumpTrue, jumpFalse, k]] of filter.entries()) {
    view.setUint16(row * 8, code, LITTLE);
    view.setUint8(row * 8 + 2, jumpTrue);
    view.setUint8(row * 8 + 3, jumpFalse);
    view.setUint32(row * 8 + 4, k, LITTLE);
  }
  // struct sock_fprog: the number of instructions and where they are.
  const head = new DataView(new ArrayBuffer(16));
  head.setUint16(0, filter.length, LITTLE);
  head.setBigUint64(8, libc.addressOf(program), LITTLE);
  return libc.setsockopt(fd, SOL_SOCKET, SO_ATTACH_FILTER, new Uint8Array(head.buffer));
}

/** struct sockaddr_ll (linux/if_packet.h). */
function sockaddr(index: number, etherType: number): Uint8Array {
  const view = new DataView(new ArrayBuffer(20));
  view.setUint16(0, AF_PACKET, LITTLE);
  view.setUint16(2, etherType);
  view.setInt32(4, index, LITTLE);
  return new Uint8Array(view.buffer);
}
