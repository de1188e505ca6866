import { FlagsNew } from 'netlink/dist/constants.js';
import { type Writer, writeAttributes, writeBytes } from './attributes.ts';
import type { Advice } from './errors.ts';
import type { Netlink } from './netlink.ts';
import * as rt from './rt-attributes.ts';

export type ChildKind = 'ipvlan' | 'macvlan';

/** A link that shares the interface `parent`. */
export interface ChildLink {
  kind: ChildKind;
  parent: { index: number; name: string };
  name: string;
  /** Of a macvlan; an ipvlan has its parent's. */
  mac: Uint8Array;
}

/**
 * Makes a link in the network namespace of process `pid`, down and without any address of IPv6's own making, which for
 * an ipvlan would be its parent's. Throws KernelError.
 */
export function addChildLink(netlink: Netlink, { kind, parent, name, mac }: ChildLink, pid: number): void {
  const write = (to: Writer) => {
    writeBytes(to, new Uint8Array(rt.IFINFOMSG_BYTES));
    writeAttributes(to, rt.NEW_IFLA, {
      IFNAME: name,
      LINK: parent.index,
      NET_NS_PID: pid,
      ...(kind === 'macvlan' && { ADDRESS: Buffer.from(mac) }),
      LINKINFO: {
        KIND: kind,
        DATA: kind === 'ipvlan' ? { IPVLAN_MODE: rt.IPVLAN_MODE_L2 } : { MACVLAN_MODE: rt.MACVLAN_MODE_BRIDGE },
      },
    });
  };
  const doing = `add an ${kind} of ${parent.name} for the prober`.replace('an macvlan', 'a macvlan');
  const flags = FlagsNew.CREATE | FlagsNew.EXCL;
  netlink.ask({ doing, type: rt.RTM.NEWLINK, flags, write, advice: advice(kind, parent.name) });
}

function advice(kind: ChildKind, parent: string): Advice {
  const other = kind === 'ipvlan' ? 'macvlan' : 'ipvlan';
  const busy = `${parent} already has ${other} interfaces, with which an ${kind} cannot share it: set probe.link to "${other}"; or it is a port of a bridge or bond: then name that one as the interface`;
  const missing = `this kernel has no ${kind}: load the module with \`modprobe ${kind}\`, or install the package with the extra kernel modules (CONFIG_${kind.toUpperCase()}), or set probe.link to "${other}"`;
  return {
    EBUSY: busy.replace('an macvlan', 'a macvlan'),
    EINVAL:
      `${parent} cannot carry an ${kind}: it is a loopback, or already has ${other} interfaces: set probe.link to "${other}", or name another interface`.replace(
        'an macvlan',
        'a macvlan',
      ),
    // EOPNOTSUPP, as node calls it.
    ENOTSUP: missing,
    EPERM: 'missing privilege; run as root or with CAP_NET_ADMIN and CAP_SYS_ADMIN',
    ESRCH: 'the prober has ended meanwhile',
  };
}

/** Brings a link up; before, IPv6 is kept from giving it an address. Throws KernelError. */
export function bringUp(netlink: Netlink, { index, name }: { index: number; name: string }): void {
  const change = (doing: string, flags: number, withoutAddress: boolean, advice: Advice = {}) =>
    netlink.ask({
      doing,
      type: rt.RTM.NEWLINK,
      advice,
      write: (to) => {
        writeBytes(to, ifinfomsg(index, flags));
        if (withoutAddress)
          writeAttributes(to, rt.NEW_IFLA, { AF_SPEC: { INET6: { ADDR_GEN_MODE: rt.IN6_ADDR_GEN_MODE_NONE } } });
      },
    });
  if (name !== 'lo') allowWithoutIpv6(() => change(`keep IPv6 from numbering ${name}`, 0, true));
  change(`bring ${name} up`, rt.IFF.UP, false, {
    ENETDOWN: 'the interface it belongs to is down',
    EADDRINUSE: 'another interface there has its MAC address',
  });
}

/** struct ifinfomsg that sets IFF_UP, or nothing (linux/rtnetlink.h). */
function ifinfomsg(index: number, flags: number): Uint8Array {
  const bytes = new Uint8Array(rt.IFINFOMSG_BYTES);
  bytes.set(new Uint8Array(Uint32Array.of(index, flags, flags).buffer), 4);
  return bytes;
}

/** A kernel without IPv6 knows nothing of how it numbers (rtnl_validate_link_af, net/core/rtnetlink.c). */
function allowWithoutIpv6(act: () => void): void {
  try {
    act();
  } catch (error) {
    if (!['EAFNOSUPPORT', 'ENOTSUP', 'EINVAL'].includes((error as { code?: string }).code ?? '')) throw error;
  }
}
