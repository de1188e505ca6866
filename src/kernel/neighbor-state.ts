import { setTimeout as sleep } from 'node:timers/promises';
import { FlagsNew } from 'netlink/dist/constants.js';
import { readU16 } from 'netlink/dist/structs.js';
import { familyOf, toBytes } from '../core/address.ts';
import { type Writer, writeAttributes, writeBytes } from './attributes.ts';
import { KernelError } from './errors.ts';
import type { Netlink } from './netlink.ts';
import * as rt from './rt-attributes.ts';
import { AF_INET, AF_INET6 } from './socket-numbers.ts';

/**
 * Whether a neighbor answers ARP or ND now: the kernel is told to ask it again, since what it knows may be old. Undefined
 * when the kernel never asked, or has not come to a result within `timeoutMs`. Throws KernelError.
 */
export async function answersNow(
  netlink: Netlink,
  address: string,
  link: number,
  timeoutMs: number,
): Promise<boolean | undefined> {
  const end = performance.now() + timeoutMs;
  let state = readState(netlink, address, link);
  let pause = LATE_LOOK_MS;
  if (state !== undefined && (state & (rt.NUD.INCOMPLETE | rt.NUD.FAILED)) === 0) {
    askAgain(netlink, address, link);
    state = rt.NUD.PROBE;
    pause = FIRST_LOOK_MS;
  }
  for (; state !== undefined && (state & (rt.NUD.INCOMPLETE | rt.NUD.PROBE)) !== 0; pause *= 2) {
    const left = end - performance.now();
    if (left <= 0) return undefined;
    await sleep(Math.min(pause, left));
    state = readState(netlink, address, link);
  }
  return state === undefined ? undefined : (state & rt.NUD.FAILED) === 0;
}

/** Doubled from look to look: those who answer do so at once. */
const FIRST_LOOK_MS = 5;
/** For one that was asked already and has not answered yet: many such may be waited for at once. */
const LATE_LOOK_MS = 50;

/** NUD_* bits of a neighbor; undefined where the kernel knows none. Throws KernelError. */
function readState(netlink: Netlink, address: string, link: number): number | undefined {
  const request = {
    doing: `ask for the neighbor ${address}`,
    type: rt.RTM.GETNEIGH,
    write: (to: Writer) => writeNeighbor(to, address, link, 0),
  };
  try {
    return netlink.ask(request, ({ buffer, start }) => readU16.call(buffer, start + 8))[0];
  } catch (error) {
    if (error instanceof KernelError && error.code === 'ENOENT') return undefined;
    throw error;
  }
}

/** Equivalent to `ip neigh change ADDRESS dev LINK nud probe`. Throws KernelError. */
function askAgain(netlink: Netlink, address: string, link: number): void {
  netlink.ask({
    doing: `ask the neighbor ${address} again`,
    type: rt.RTM.NEWNEIGH,
    flags: FlagsNew.REPLACE,
    write: (to) => writeNeighbor(to, address, link, rt.NUD.PROBE),
  });
}

/** struct ndmsg (linux/neighbour.h). */
function writeNeighbor(to: Writer, address: string, link: number, state: number): void {
  writeBytes(to, Uint8Array.of(familyOf(address) === 'ipv4' ? AF_INET : AF_INET6, 0, 0, 0));
  writeBytes(to, new Uint8Array(Uint32Array.of(link, state).buffer));
  writeAttributes(to, rt.NDA, { DST: Buffer.from(toBytes(address)) });
}
