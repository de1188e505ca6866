import { table } from './attributes.ts';

/** rtnetlink in the kernel's own names (linux/rtnetlink.h, if_link.h, if_addr.h, if.h, if_arp.h). */
export const RTM = {
  NEWLINK: 16,
  GETLINK: 18,
  NEWADDR: 20,
  DELADDR: 21,
  GETADDR: 22,
  NEWROUTE: 24,
  GETROUTE: 26,
} as const;

/** Multicast groups as bits of sockaddr_nl. */
export const RTMGRP = { LINK: 0x1, IPV4_IFADDR: 0x10, IPV6_IFADDR: 0x100 } as const;

export const IFLA = table({ ADDRESS: [1, 'bytes'], IFNAME: [3, 'string'], MTU: [4, 'u32'] });
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

export const RTA = table({ GATEWAY: [5, 'bytes'], MULTIPATH: [9, 'bytes'], TABLE: [15, 'u32'], VIA: [18, 'bytes'] });
export const RTMSG_BYTES = 12;
export const RTNEXTHOP_BYTES = 8;
export const RT_TABLE_MAIN = 254;
export const RTN_UNICAST = 1;
