import { Buffer } from 'node:buffer';
import { endianness } from 'node:os';
import type { Offload } from '../../core/doctor/director.ts';
import { kernelError } from '../errors.ts';
import * as libc from '../libc.ts';
import { AF_INET, SOCK_DGRAM } from '../socket-numbers.ts';

const SIOCETHTOOL = 0x8946;
const ETHTOOL_GFLAGS = 0x25;
const ETHTOOL_GGRO = 0x2b;
const ETH_FLAG_LRO = 1 << 15;
const IFREQ_BYTES = 40;
const IFNAMSIZ = 16;
const LITTLE = endianness() === 'LE';

/** Undefined where the driver does not say (linux/ethtool.h: ETHTOOL_GFLAGS, ETHTOOL_GGRO). Throws KernelError without sockets. */
export function readOffload(interfaceName: string): Offload | undefined {
  const fd = libc.socket(AF_INET, SOCK_DGRAM, 0);
  if (fd < 0) throw kernelError('open a socket', { errno: -fd });
  try {
    const flags = ask(fd, interfaceName, ETHTOOL_GFLAGS);
    const gro = ask(fd, interfaceName, ETHTOOL_GGRO);
    return flags === undefined || gro === undefined ? undefined : { lro: (flags & ETH_FLAG_LRO) !== 0, gro: gro !== 0 };
  } finally {
    libc.close(fd);
  }
}

/** struct ethtool_value: command and data, both u32; struct ifreq: name, then a pointer to it. */
function ask(fd: number, interfaceName: string, command: number): number | undefined {
  const value = Buffer.alloc(8);
  const request = Buffer.alloc(IFREQ_BYTES);
  request.write(interfaceName, 0, IFNAMSIZ - 1, 'latin1');
  const view = new DataView(value.buffer, value.byteOffset);
  view.setUint32(0, command, LITTLE);
  new DataView(request.buffer, request.byteOffset).setBigUint64(IFNAMSIZ, libc.addressOf(value), LITTLE);
  return libc.ioctl(fd, SIOCETHTOOL, request) < 0 ? undefined : view.getUint32(4, LITTLE);
}
