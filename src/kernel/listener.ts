import { familyOf, toBytes, withPort } from '../core/address.ts';
import { kernelError } from './errors.ts';
import { sockaddr } from './inet.ts';
import * as libc from './libc.ts';
import { attachFilter, type Instruction, RET } from './socket-filter.ts';
import * as N from './socket-numbers.ts';

/** A TCP socket that hears some hosts and nobody else. */
export interface SelectiveListener {
  /** For a server to listen on, which then owns it. */
  fd: number;
  only(sources: readonly string[]): void;
}

/** Binds to a port; what comes from other addresses is dropped before the kernel answers it, also with RST. Throws KernelError. */
export function listenOnlyFor(address: string, port: number, sources: readonly string[]): SelectiveListener {
  const doing = `listen on ${withPort(address, port)}`;
  const fd = libc.socket(familyOf(address) === 'ipv4' ? N.AF_INET : N.AF_INET6, N.SOCK.tcp, 0);
  if (fd < 0) throw kernelError(doing, { errno: -fd });
  const only = (list: readonly string[]) => attachFilter(fd, fromOnly(list));
  const failed =
    libc.setsockopt(fd, N.SOL_SOCKET, N.SO_REUSEADDR, libc.int32(1)) ||
    only(sources) ||
    libc.bind(fd, sockaddr({ address, port })) ||
    libc.listen(fd, 128);
  if (failed < 0) {
    libc.close(fd);
    throw kernelError(doing, { errno: -failed }, advice);
  }
  return {
    fd,
    only: (list) => {
      const result = only(list);
      if (result < 0) throw kernelError(doing, { errno: -result });
    },
  };
}

const advice = {
  EADDRINUSE:
    'another program has the port there: let the web server of this host listen on another port, or on the address of this host alone',
};

/** A packet's network header, for loads by offset (SKF_NET_OFF, linux/filter.h). */
const NET = 0xfff0_0000;
const LD_W_ABS = 0x20;
const JEQ = 0x15;
const ALL = 0xffff_ffff;

/** Takes the packets of these sources, all of one family. */
function fromOnly(sources: readonly string[]): Instruction[] {
  const program = sources.flatMap((source): Instruction[] => {
    const bytes = Buffer.from(toBytes(source));
    const start = NET + (bytes.length === 4 ? 12 : 8);
    const words = Array.from({ length: bytes.length / 4 }, (_, i) => bytes.readUInt32BE(i * 4));
    // Each word that differs leads past the rest and the return.
    return [
      ...words.flatMap((word, i): Instruction[] => [
        [LD_W_ABS, 0, 0, start + i * 4],
        [JEQ, 0, (words.length - 1 - i) * 2 + 1, word],
      ]),
      [RET, 0, 0, ALL],
    ];
  });
  return [...program, [RET, 0, 0, 0]];
}
