import { readU16be } from 'netlink/dist/structs.js';
import { familyOf, fromBytes } from '../core/address.ts';
import type { Protocol } from '../core/kernel-state.ts';
import { readAttributes, table, type Writer, writeBytes } from './attributes.ts';
import { malformed } from './errors.ts';
import type { Message } from './messages.ts';
import type { Netlink } from './netlink.ts';
import { AF_INET, AF_INET6, IPPROTO } from './socket-numbers.ts';

/** A socket that takes what comes to it, as sock_diag tells. */
export interface Listener {
  family: number;
  address: string;
  port: number;
  /** As by IPV6_V6ONLY: the wildcard :: is not that of IPv4 too. */
  v6only: boolean;
}

/**
 * Ports on which a socket of this host takes packets to `address`, and whether one is bound to the address itself,
 * equivalent to `ss -ltn` or `ss -aun`. Throws KernelError.
 */
export function readListeners(
  netlink: Netlink,
  address: string,
  protocol: Protocol,
): Map<number, 'address' | 'wildcard'> {
  const families = familyOf(address) === 'ipv4' ? [AF_INET, AF_INET6] : [AF_INET6];
  const all = families.flatMap((family) =>
    netlink.dump(
      {
        doing: `read the ${protocol} listeners`,
        type: SOCK_DIAG_BY_FAMILY,
        write: (to) => writeQuestion(to, family, protocol, protocol === 'tcp' ? TCP_LISTEN : TCP_CLOSE),
      },
      readListener,
    ),
  );
  const found = new Map<number, 'address' | 'wildcard'>();
  for (const listener of all)
    if (takes(listener, address) && found.get(listener.port) !== 'address')
      found.set(listener.port, listener.address === address ? 'address' : 'wildcard');
  return found;
}

/**
 * Established TCP connections to each of `addresses` by local port, equivalent to `ss -tn state established`. Throws
 * KernelError.
 */
export function readEstablished(netlink: Netlink, addresses: Iterable<string>): Map<string, Map<number, number>> {
  const counts = new Map([...addresses].map((address) => [address, new Map<number, number>()]));
  for (const family of [AF_INET, AF_INET6])
    netlink.dump(
      {
        doing: 'read the established connections',
        type: SOCK_DIAG_BY_FAMILY,
        write: (to) => writeQuestion(to, family, 'tcp', TCP_ESTABLISHED),
      },
      (message) => {
        const { address, port } = readListener(message) ?? {};
        const ports = address === undefined ? undefined : counts.get(address);
        if (ports && port !== undefined) ports.set(port, (ports.get(port) ?? 0) + 1);
        return undefined;
      },
    );
  return counts;
}

/** Whether what comes to `address` comes to this socket. */
export function takes({ family, address: bound, v6only }: Listener, address: string): boolean {
  if (familyOf(address) === 'ipv6') return family === AF_INET6 && (bound === address || bound === '::');
  if (family === AF_INET) return bound === address || bound === '0.0.0.0';
  return !v6only && bound === '::';
}

/** struct inet_diag_req_v2 (linux/inet_diag.h). UDP that is not connected the kernel calls CLOSE. */
function writeQuestion(to: Writer, family: number, protocol: Protocol, state: number): void {
  const states = 1 << state;
  writeBytes(to, Uint8Array.of(family, IPPROTO[protocol], 0, 0));
  writeBytes(to, new Uint8Array(Uint32Array.of(states).buffer));
  writeBytes(to, new Uint8Array(SOCKID_BYTES));
}

/** Reads struct inet_diag_msg. Throws KernelError EBADMSG. */
export function readListener({ buffer, start, end }: Message): Listener | undefined {
  if (start + DIAG_MSG_BYTES > end) throw malformed('a short socket');
  const family = buffer[start];
  if (family !== AF_INET && family !== AF_INET6) return undefined;
  const { SKV6ONLY } = readAttributes(INET_DIAG, buffer, start + DIAG_MSG_BYTES, end);
  const bytes = buffer.subarray(start + 8, start + 8 + (family === AF_INET ? 4 : 16));
  const mapped = family === AF_INET6 && MAPPED.equals(bytes.subarray(0, MAPPED.length));
  return {
    family: mapped ? AF_INET : family,
    address: fromBytes(mapped ? bytes.subarray(MAPPED.length) : bytes),
    port: readU16be.call(buffer, start + 4),
    v6only: SKV6ONLY === 1,
  };
}

const SOCK_DIAG_BY_FAMILY = 20;
const TCP_ESTABLISHED = 1;
const TCP_CLOSE = 7;
const TCP_LISTEN = 10;
const SOCKID_BYTES = 48;
const DIAG_MSG_BYTES = 72;
// ::ffff:0:0/96: an IPv6 socket bound to an IPv4 address.
const MAPPED = Buffer.from('00000000000000000000ffff', 'hex');
const INET_DIAG = table({ SKV6ONLY: [11, 'u8'] });
