/** Numbers of socket(7), netlink(7) and packet(7) that the npm package `netlink` has no names for. */
export const SOL_SOCKET = 1;
export const SO_ERROR = 4;
export const SO_RCVBUF = 8;
export const SO_LINGER = 13;
export const SO_ATTACH_FILTER = 26;
export const SO_RCVBUFFORCE = 33;
export const SO_MARK = 36;

export const AF_UNIX = 1;
export const AF_INET = 2;
export const AF_INET6 = 10;
export const AF_NETLINK = 16;
export const AF_PACKET = 17;
export const SOCK = { tcp: 1, udp: 2 } as const;
export const SOCK_DGRAM = 2;
export const SOCK_RAW = 3;

export const SOL_NETLINK = 270;
export const NETLINK_CAP_ACK = 10;
export const NETLINK_EXT_ACK = 11;
export const NETLINK_GET_STRICT_CHK = 12;

export const ETH_P_ARP = 0x0806;
export const ETH_P_IPV6 = 0x86dd;

export const IPPROTO = { tcp: 6, udp: 17 } as const;
export const IPPROTO_ICMPV6 = 58;
