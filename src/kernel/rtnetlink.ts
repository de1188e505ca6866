import { FlagsNew } from 'netlink/dist/constants.js';
import { familyOf, hostPrefix, isAddress, toBytes } from '../core/address.ts';
import type { ActualAddress, Address, CardCounters, HostRoute, Link, Route } from '../core/kernel-state.ts';
import type { AddressRole } from '../core/steps.ts';
import { type Values, type Writer, writeAttributes, writeBytes } from './attributes.ts';
import { KernelError } from './errors.ts';
import type { Message } from './messages.ts';
import type { Netlink } from './netlink.ts';
import * as rt from './rt-attributes.ts';
import { readAddress, readCounters, readGateways, readLink, readRoute } from './rt-decode.ts';
import { AF_INET, AF_INET6 } from './socket-numbers.ts';

/** Equivalent to `ip link show`. Throws KernelError. */
export function readLinks(netlink: Netlink): Link[] {
  const write = (to: Writer) => writeBytes(to, new Uint8Array(rt.IFINFOMSG_BYTES));
  return netlink.dump({ doing: 'read the interfaces', type: rt.RTM.GETLINK, write }, readLink);
}

/** Equivalent to `ip -statistics link show NAME`; undefined where there is no such interface. Throws KernelError. */
export function readCard(netlink: Netlink, name: string): CardCounters | undefined {
  const write = (to: Writer) => {
    writeBytes(to, new Uint8Array(rt.IFINFOMSG_BYTES));
    writeAttributes(to, rt.CARD_IFLA, { IFNAME: name });
  };
  try {
    return netlink.ask({ doing: `read the counters of ${name}`, type: rt.RTM.GETLINK, write }, readCounters)[0];
  } catch (error) {
    if (error instanceof KernelError && error.code === 'ENODEV') return undefined;
    throw error;
  }
}

/** Equivalent to `ip addr show`. Throws KernelError. */
export function readAddresses(netlink: Netlink): ActualAddress[] {
  const write = (to: Writer) => writeBytes(to, new Uint8Array(rt.IFADDRMSG_BYTES));
  const found = netlink.dump({ doing: 'read the addresses', type: rt.RTM.GETADDR, write }, readAddress);
  const names = new Map(readLinks(netlink).map(({ index, name }) => [index, name]));
  return found.flatMap(({ index, ...address }) => {
    const name = names.get(index);
    return name === undefined ? [] : [{ ...address, interface: name }];
  });
}

/** Gateways of the default routes in the main table, equivalent to `ip route show default`. Throws KernelError. */
export function readDefaultGateways(netlink: Netlink): string[] {
  return [...new Set(dumpRoutes(netlink, readGateways).flat())];
}

/** Unicast routes of the main table, equivalent to `ip route show`; of one with several next hops none. Throws KernelError. */
export function readRoutes(netlink: Netlink): HostRoute[] {
  const names = new Map(readLinks(netlink).map(({ index, name }) => [index, name]));
  return dumpRoutes(netlink, readRoute).flatMap(({ index, ...route }) => {
    const name = names.get(index);
    return name === undefined ? [] : [{ ...route, interface: name }];
  });
}

function dumpRoutes<T>(netlink: Netlink, read: (message: Message) => T | undefined): T[] {
  return [AF_INET, AF_INET6].flatMap((family) => {
    const write = (to: Writer) => {
      writeBytes(to, Uint8Array.of(family, 0, 0, 0, rt.RT_TABLE_MAIN, 0, 0, 0, 0, 0, 0, 0));
      writeAttributes(to, rt.RTA, { TABLE: rt.RT_TABLE_MAIN });
    };
    // A network without any route yet has no table (fib_frontend.c: "FIB table does not exist").
    return allowing(['ENOENT'], [], () =>
      netlink.dump({ doing: 'read the routes', type: rt.RTM.GETROUTE, write }, read),
    );
  });
}

/** Adds a route to one address on the network of an interface; one that is there stays. Throws KernelError. */
export function addRoute(netlink: Netlink, route: Route): void {
  const doing = `add a route to ${route.address} on ${route.interface}`;
  const index = indexOf(netlink, { ...route, prefix: hostPrefix(route.address) }, doing);
  if (index === undefined) throw new KernelError('ENODEV', `cannot ${doing}: there is no such interface`);
  const flags = FlagsNew.CREATE | FlagsNew.EXCL;
  const write = (out: Writer) => writeRoute(out, route.address, index);
  allowing(['EEXIST'], [], () => netlink.ask({ doing, type: rt.RTM.NEWROUTE, flags, write }));
}

/** Removes such a route; success when it is gone already, and its interface too. Throws KernelError. */
export function deleteRoute(netlink: Netlink, route: Route): void {
  const doing = `delete the route to ${route.address} on ${route.interface}`;
  const index = indexOf(netlink, { ...route, prefix: hostPrefix(route.address) }, doing);
  if (index === undefined) return;
  const write = (out: Writer) => writeRoute(out, route.address, index);
  allowing(['ESRCH', 'ENODEV'], [], () => netlink.ask({ doing, type: rt.RTM.DELROUTE, write }));
}

/** struct rtmsg: family, prefix, source prefix, TOS, table, protocol, scope, type, flags. */
function writeRoute(out: Writer, address: string, index: number): void {
  const family = familyOf(address) === 'ipv4' ? AF_INET : AF_INET6;
  const kind = [rt.RT_TABLE_MAIN, rt.RTPROT_STATIC, rt.RT_SCOPE_LINK, rt.RTN_UNICAST];
  writeBytes(out, Uint8Array.of(family, hostPrefix(address), 0, 0, ...kind, 0, 0, 0, 0));
  writeAttributes(out, rt.RTA, { DST: Buffer.from(toBytes(address)), OIF: index });
}

/** Adds an address; one that is there stays as it is. The prober's is a source, and silent. Throws KernelError. */
export function addAddress(netlink: Netlink, to: Address, role: AddressRole | 'prober'): void {
  const doing = `add address ${to.address}/${to.prefix} to ${to.interface}`;
  const index = indexOf(netlink, to, doing);
  if (index === undefined) throw new KernelError('ENODEV', `cannot ${doing}: there is no such interface`);
  const ipv6 = familyOf(to.address) === 'ipv6';
  const FLAGS = ipv6 && role !== 'director' ? rt.IFA_F.NODAD : 0;
  const lifetime = ipv6 && role !== 'prober' ? { CACHEINFO: neverASource() } : {};
  const write = (out: Writer) => writeAddress(out, index, to, { FLAGS, ...lifetime });
  const off = `IPv6 is off there; try \`sysctl -w net.ipv6.conf.${to.interface.replaceAll('.', '/')}.disable_ipv6=0\``;
  const advice = ipv6 ? { EACCES: off, ENOTSUP: off } : {};
  const flags = FlagsNew.CREATE | FlagsNew.EXCL;
  allowing(['EEXIST'], [], () => netlink.ask({ doing, type: rt.RTM.NEWADDR, flags, write, advice }));
}

/** Removes an address; success when it is gone already, and its interface too. Throws KernelError. */
export function deleteAddress(netlink: Netlink, from: Address): void {
  const doing = `delete address ${from.address}/${from.prefix} from ${from.interface}`;
  const index = indexOf(netlink, from, doing);
  if (index === undefined) return;
  const write = (out: Writer) => writeAddress(out, index, from);
  allowing(['EADDRNOTAVAIL', 'ENODEV'], [], () => netlink.ask({ doing, type: rt.RTM.DELADDR, write }));
}

/** Throws KernelError EPERM when this process may not change the network of its namespace. */
export function needPrivilege(netlink: Netlink): void {
  // There is no interface 0, but the kernel looks at the privilege first (rtnetlink_rcv_msg, net/core/rtnetlink.c).
  const write = (out: Writer) => writeAddress(out, 0, { address: '0.0.0.0', prefix: 32 });
  allowing(['EADDRNOTAVAIL', 'ENODEV'], [], () =>
    netlink.ask({ doing: "change this host's network", type: rt.RTM.DELADDR, write }),
  );
}

/** Number of the address's interface, if there is one of that name. Throws KernelError EINVAL for what is no address. */
function indexOf(netlink: Netlink, { address, prefix, interface: name }: Address, doing: string): number | undefined {
  if (!isAddress(address)) throw new KernelError('EINVAL', `cannot ${doing}: "${address}" is no address`);
  if (!Number.isInteger(prefix) || prefix < 0 || prefix > hostPrefix(address))
    throw new KernelError('EINVAL', `cannot ${doing}: the prefix is from 0 to ${hostPrefix(address)}`);
  return readLinks(netlink).find((link) => link.name === name)?.index;
}

type HostAddress = Pick<Address, 'address' | 'prefix'>;

function writeAddress(
  out: Writer,
  index: number,
  { address, prefix }: HostAddress,
  more?: Values<typeof rt.IFA>,
): void {
  const family = familyOf(address) === 'ipv4' ? AF_INET : AF_INET6;
  const bytes = Buffer.from(toBytes(address));
  writeBytes(out, Uint8Array.of(family, prefix, 0, 0));
  writeBytes(out, new Uint8Array(Uint32Array.of(index).buffer));
  writeAttributes(out, rt.IFA, { LOCAL: bytes, ADDRESS: bytes, ...more });
}

/** struct ifa_cacheinfo: preferred for no time, so never chosen as a source; valid for ever. */
const neverASource = () => Buffer.from(Uint32Array.of(0, rt.INFINITY_LIFE_TIME, 0, 0).buffer);

/** What `act` answers, or `otherwise` when the kernel refuses with one of the codes. */
function allowing<T>(codes: readonly string[], otherwise: T, act: () => T): T {
  try {
    return act();
  } catch (error) {
    if (error instanceof KernelError && codes.includes(error.code)) return otherwise;
    throw error;
  }
}
