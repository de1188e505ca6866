import { endianness } from 'node:os';
import * as libc from './libc.ts';
import { SO_ATTACH_FILTER, SO_DETACH_FILTER, SOL_SOCKET } from './socket-numbers.ts';

/** struct sock_filter (linux/filter.h). */
export type Instruction = readonly [code: number, jumpTrue: number, jumpFalse: number, k: number];

// Instructions of classic BPF (linux/bpf_common.h).
export const RET = 0x06;

const LITTLE = endianness() === 'LE';

/** Lets only what `filter` takes into a socket; answers -errno on failure. */
export function attachFilter(fd: number, filter: readonly Instruction[]): number {
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

/** Takes the filter away again. */
export const detachFilter = (fd: number): number => libc.setsockopt(fd, SOL_SOCKET, SO_DETACH_FILTER, libc.int32(0));

/** Takes nothing. */
export const nothing: readonly Instruction[] = [[RET, 0, 0, 0]];
