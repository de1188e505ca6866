import { table } from './attributes.ts';

/** rtnetlink in the kernel's own names (linux/rtnetlink.h, if_link.h, if_addr.h, if.h, if_arp.h). */
export const RTM = {
  NEWLINK: 16,
  DELLINK: 17,
  GETLINK: 18,
  NEWADDR: 20,
  DELADDR: 21,
  GETADDR: 22,
  NEWROUTE: 24,
  DELROUTE: 25,
  GETROUTE: 26,
  NEWNEIGH: 28,
  GETNEIGH: 30,
  NEWRULE: 32,
  DELRULE: 33,
} as const;

/** Multicast groups as bits of sockaddr_nl. */
export const RTMGRP = { LINK: 0x1, IPV4_IFADDR: 0x10, IPV6_IFADDR: 0x100 } as const;

/** What a card is and counted. */
export const CARD_IFLA = table({ ADDRESS: [1, 'bytes'], IFNAME: [3, 'string'], STATS64: [23, 'bytes'] });
/** Places of the u64 counters in struct rtnl_link_stats64 (linux/if_link.h). */
export const STATS64 = {
  RX_PACKETS: 0,
  TX_PACKETS: 1,
  RX_BYTES: 2,
  TX_BYTES: 3,
  RX_ERRORS: 4,
  TX_ERRORS: 5,
  RX_DROPPED: 6,
  TX_DROPPED: 7,
} as const;
export const STATS64_BYTES = 8 * 8;

export const IFLA = table({ ADDRESS: [1, 'bytes'], IFNAME: [3, 'string'], MTU: [4, 'u32'] });
/** What a link is made with; read, LINKINFO and AF_SPEC would mean something else for each kind. */
export const NEW_IFLA = table({
  ADDRESS: [1, 'bytes'],
  IFNAME: [3, 'string'],
  LINK: [5, 'u32'],
  LINKINFO: [
    18,
    table({ KIND: [1, 'string'], DATA: [2, table({ IPVLAN_MODE: [1, 'u16'], MACVLAN_MODE: [1, 'u32'] })] }),
  ],
  NET_NS_PID: [19, 'u32'],
  AF_SPEC: [26, table({ INET6: [10, table({ ADDR_GEN_MODE: [8, 'u8'] })] })],
});
export const IPVLAN_MODE_L2 = 0;
export const MACVLAN_MODE_BRIDGE = 4;
export const IN6_ADDR_GEN_MODE_NONE = 1;
export const IFINFOMSG_BYTES = 16;
export const IFF = { UP: 0x1, LOOPBACK: 0x8, NOARP: 0x80, LOWER_UP: 0x1_0000 } as const;
export const ARPHRD_ETHER = 1;

export const IFA = table({
  ADDRESS: [1, 'bytes'],
  LOCAL: [2, 'bytes'],
  /** struct ifa_cacheinfo: preferred and valid lifetime in seconds, two time stamps. */
  CACHEINFO: [6, 'bytes'],
  FLAGS: [8, 'u32'],
});
export const IFADDRMSG_BYTES = 8;
export const IFA_F = { NODAD: 0x2, DADFAILED: 0x8, TENTATIVE: 0x40 } as const;
export const INFINITY_LIFE_TIME = 0xffff_ffff;

export const RTA = table({
  DST: [1, 'bytes'],
  OIF: [4, 'u32'],
  GATEWAY: [5, 'bytes'],
  MULTIPATH: [9, 'bytes'],
  TABLE: [15, 'u32'],
  VIA: [18, 'bytes'],
});
export const RTMSG_BYTES = 12;
export const RTNEXTHOP_BYTES = 8;
export const RT_TABLE_UNSPEC = 0;
export const RT_TABLE_MAIN = 254;
export const RTN_UNICAST = 1;
export const RTPROT_STATIC = 4;
export const RT_SCOPE_LINK = 253;
export const RTNH_F_ONLINK = 0x4;

/** Rules by firewall mark (linux/fib_rules.h). */
export const FRA = table({ PRIORITY: [6, 'u32'], FWMARK: [10, 'u32'], TABLE: [15, 'u32'] });
export const FR_ACT_TO_TBL = 1;

/** Neighbors (linux/neighbour.h). */
export const NDA = table({ DST: [1, 'bytes'], IFINDEX: [8, 'u32'] });
export const NUD = { INCOMPLETE: 0x1, REACHABLE: 0x2, PROBE: 0x10, FAILED: 0x20 } as const;
