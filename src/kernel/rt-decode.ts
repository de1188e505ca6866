import { align, readS32, readU16, readU32, readU64 } from 'netlink/dist/structs.js';
import { fromBytes } from '../core/address.ts';
import type { Address, CardCounters, Link } from '../core/kernel-state.ts';
import { readAttributes, type Values } from './attributes.ts';
import { malformed } from './errors.ts';
import type { Message } from './messages.ts';
import * as rt from './rt-attributes.ts';
import { AF_INET, AF_INET6 } from './socket-numbers.ts';

/** An address of the interface with this number. */
export interface IndexedAddress extends Omit<Address, 'interface'> {
  index: number;
  tentative: boolean;
  dadFailed: boolean;
}

/** Reads an interface (struct ifinfomsg). Throws KernelError EBADMSG. */
export function readLink({ buffer, start, end }: Message): Link {
  if (start + rt.IFINFOMSG_BYTES > end) throw malformed('a short interface');
  const { IFNAME, ADDRESS, MTU } = readAttributes(rt.IFLA, buffer, start + rt.IFINFOMSG_BYTES, end);
  const flags = readU32.call(buffer, start + 8);
  const ethernet = readU16.call(buffer, start + 2) === rt.ARPHRD_ETHER && ADDRESS?.length === 6;
  const has = (bit: number) => (flags & bit) !== 0;
  return {
    index: readS32.call(buffer, start + 4),
    name: IFNAME ?? '',
    up: has(rt.IFF.UP),
    carrier: has(rt.IFF.LOWER_UP),
    loopback: has(rt.IFF.LOOPBACK),
    arp: !has(rt.IFF.NOARP) && !has(rt.IFF.LOOPBACK),
    mac: ethernet ? macText(ADDRESS) : '',
    mtu: MTU ?? 0,
  };
}

/** Reads what a card counted (struct ifinfomsg). Throws KernelError EBADMSG. */
export function readCounters({ buffer, start, end }: Message): CardCounters {
  if (start + rt.IFINFOMSG_BYTES > end) throw malformed('a short interface');
  const { IFNAME, ADDRESS, STATS64 } = readAttributes(rt.CARD_IFLA, buffer, start + rt.IFINFOMSG_BYTES, end);
  if (!STATS64 || STATS64.length < rt.STATS64_BYTES) throw malformed('an interface without counters');
  const count = (name: keyof typeof rt.STATS64) => Number(readU64.call(STATS64, 8 * rt.STATS64[name]));
  return {
    interface: IFNAME ?? '',
    mac: ADDRESS?.length === 6 ? macText(ADDRESS) : '',
    rxBytes: count('RX_BYTES'),
    txBytes: count('TX_BYTES'),
    rxPackets: count('RX_PACKETS'),
    txPackets: count('TX_PACKETS'),
    rxLost: count('RX_ERRORS') + count('RX_DROPPED'),
    txLost: count('TX_ERRORS') + count('TX_DROPPED'),
  };
}

/** Reads an address (struct ifaddrmsg); undefined for one that is neither IPv4 nor IPv6. Throws KernelError EBADMSG. */
export function readAddress({ buffer, start, end }: Message): IndexedAddress | undefined {
  if (start + rt.IFADDRMSG_BYTES > end) throw malformed('a short address');
  const family = buffer[start];
  if (family !== AF_INET && family !== AF_INET6) return undefined;
  // With a peer LOCAL is this end's address; IPv4 always has it, IPv6 only then.
  const { LOCAL, ADDRESS, FLAGS } = readAttributes(rt.IFA, buffer, start + rt.IFADDRMSG_BYTES, end);
  const flags = FLAGS ?? buffer[start + 2]!;
  return {
    address: addressText(LOCAL ?? ADDRESS, family),
    prefix: buffer[start + 1]!,
    index: readU32.call(buffer, start + 4),
    tentative: (flags & rt.IFA_F.TENTATIVE) !== 0,
    dadFailed: (flags & rt.IFA_F.DADFAILED) !== 0,
  };
}

/** Gateways of a route if it is a default route of the main table (struct rtmsg). Throws KernelError EBADMSG. */
export function readGateways({ buffer, start, end }: Message): string[] | undefined {
  if (start + rt.RTMSG_BYTES > end) throw malformed('a short route');
  const family = buffer[start]!;
  const [prefix, table, type] = [buffer[start + 1], buffer[start + 4], buffer[start + 7]];
  if (prefix !== 0 || type !== rt.RTN_UNICAST) return undefined;
  const route = readAttributes(rt.RTA, buffer, start + rt.RTMSG_BYTES, end);
  return (route.TABLE ?? table) === rt.RT_TABLE_MAIN
    ? [...gatewayOf(route, family), ...nextHops(route, family)]
    : undefined;
}

/** A unicast route of the main table that names an interface, as far as plans need it. */
export interface IndexedRoute {
  destination: string;
  prefix: number;
  index: number;
  /** By way of a gateway, and not on the network of the interface itself. */
  gateway: boolean;
}

/** Reads a route (struct rtmsg); undefined for one that is not of the main table or has no interface. Throws KernelError EBADMSG. */
export function readRoute({ buffer, start, end }: Message): IndexedRoute | undefined {
  if (start + rt.RTMSG_BYTES > end) throw malformed('a short route');
  const family = buffer[start]!;
  const [prefix, table, type] = [buffer[start + 1]!, buffer[start + 4], buffer[start + 7]];
  const { DST, OIF, TABLE, GATEWAY, VIA } = readAttributes(rt.RTA, buffer, start + rt.RTMSG_BYTES, end);
  if ((family !== AF_INET && family !== AF_INET6) || type !== rt.RTN_UNICAST || OIF === undefined) return undefined;
  if ((TABLE ?? table) !== rt.RT_TABLE_MAIN) return undefined;
  const destination = DST ? addressText(DST, family) : family === AF_INET ? '0.0.0.0' : '::';
  return { destination, prefix, index: OIF, gateway: GATEWAY !== undefined || VIA !== undefined };
}

type Route = Values<typeof rt.RTA>;

function gatewayOf({ GATEWAY, VIA }: Route, family: number): string[] {
  if (GATEWAY) return [addressText(GATEWAY, family)];
  // struct rtvia: an IPv4 route by way of an IPv6 gateway.
  return VIA && VIA.length > 2 ? [addressText(VIA.subarray(2), readU16.call(VIA, 0))] : [];
}

/** Gateways of a route with several (struct rtnexthop: length, flags, hops, interface, attributes). */
function nextHops({ MULTIPATH }: Route, family: number): string[] {
  const gateways: string[] = [];
  for (let at = 0; MULTIPATH && at + rt.RTNEXTHOP_BYTES <= MULTIPATH.length; ) {
    const length = readU16.call(MULTIPATH, at);
    if (length < rt.RTNEXTHOP_BYTES || at + length > MULTIPATH.length) throw malformed('a next hop');
    gateways.push(...gatewayOf(readAttributes(rt.RTA, MULTIPATH, at + rt.RTNEXTHOP_BYTES, at + length), family));
    at += align(length);
  }
  return gateways;
}

function addressText(bytes: Buffer | undefined, family: number): string {
  const length = family === AF_INET ? 4 : 16;
  if (!bytes || bytes.length < length) throw malformed('an address that is too short');
  return fromBytes(bytes.subarray(0, length));
}

/** Ethernet address as the project writes it: 02:00:00:00:00:01. */
export const macText = (bytes: Uint8Array): string =>
  Array.from(bytes.subarray(0, 6), (byte) => byte.toString(16).padStart(2, '0')).join(':');
