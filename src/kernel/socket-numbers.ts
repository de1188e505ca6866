/** Numbers of socket(7), netlink(7) and packet(7) that the npm package `netlink` has no names for. */
export const SOL_SOCKET = 1;
export const SO_REUSEADDR = 2;
export const SO_ERROR = 4;
export const SO_RCVBUF = 8;
export const SO_LINGER = 13;
export const SO_ATTACH_FILTER = 26;
export const SO_DETACH_FILTER = 27;
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

export const IPPROTO_IP = 0;
export const IP_MULTICAST_IF = 32;
export const IPPROTO = { tcp: 6, udp: 17 } as const;
export const IPPROTO_ICMPV6 = 58;

/** TCP options that take a connection apart and put it together (linux/tcp.h), and what goes with them (linux/sockios.h). */
export const SOL_TCP = 6;
export const TCP_MAXSEG = 2;
export const TCP_INFO = 11;
export const TCP_QUICKACK = 12;
export const TCP_REPAIR = 19;
export const TCP_REPAIR_QUEUE = 20;
export const TCP_QUEUE_SEQ = 21;
export const TCP_REPAIR_OPTIONS = 22;
export const TCP_TIMESTAMP = 24;
export const TCP_REPAIR_WINDOW = 29;
/** `offWithoutProbe`: no window probe goes out. */
export const REPAIR = { on: 1, offWithoutProbe: -1 } as const;
export const QUEUE = { none: 0, receive: 1, send: 2 } as const;
/** Codes of struct tcp_repair_opt. */
export const TCPOPT = { MSS: 2, WINDOW: 3, SACK_PERM: 4, TIMESTAMP: 8 } as const;
/** Bits of tcpi_options. */
export const TCPI_OPT = { TIMESTAMPS: 1, SACK: 2, WSCALE: 4 } as const;
/** States of a connection (net/tcp_states.h). */
export const TCP_STATE = { established: 1, closeWait: 8 } as const;
export const SIOCINQ = 0x541b;
export const SIOCOUTQ = 0x5411;
