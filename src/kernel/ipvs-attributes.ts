import type { ForwardingMethod, SchedulerBit } from '../core/kernel-state.ts';
import { table } from './attributes.ts';

/** IPVS generic netlink in the kernel's own names, without their IPVS_ and IP_VS_ (linux/ip_vs.h). */
export const FAMILY = 'IPVS';
export const VERSION = 1;

export const CMD = {
  NEW_SERVICE: 1,
  SET_SERVICE: 2,
  DEL_SERVICE: 3,
  GET_SERVICE: 4,
  NEW_DEST: 5,
  SET_DEST: 6,
  DEL_DEST: 7,
  GET_DEST: 8,
  NEW_DAEMON: 9,
  DEL_DAEMON: 10,
  GET_DAEMON: 11,
  GET_INFO: 15,
} as const;

const STATS64_ATTR = table({ CONNS: [1, 'u64'], INPKTS: [2, 'u64'], INBYTES: [4, 'u64'] });

/** 32-bit counters but for the bytes: all that kernels before 4.1 have. */
const STATS_ATTR = table({ CONNS: [1, 'u32'], INPKTS: [2, 'u32'], INBYTES: [4, 'u64'] });

export const SVC_ATTR = table({
  AF: [1, 'u16'],
  PROTOCOL: [2, 'u16'],
  /** union nf_inet_addr: 16 bytes, IPv4 in the first four. */
  ADDR: [3, 'bytes'],
  PORT: [4, 'be16'],
  FWMARK: [5, 'u32'],
  SCHED_NAME: [6, 'string'],
  /** struct ip_vs_flags. */
  FLAGS: [7, 'bytes'],
  /** Seconds. */
  TIMEOUT: [8, 'u32'],
  /** IPv4: a netmask in network order; IPv6: a prefix length in host order. */
  NETMASK: [9, 'bytes'],
  STATS: [10, STATS_ATTR],
  STATS64: [12, STATS64_ATTR],
});

export const DEST_ATTR = table({
  ADDR: [1, 'bytes'],
  PORT: [2, 'be16'],
  FWD_METHOD: [3, 'u32'],
  WEIGHT: [4, 's32'],
  U_THRESH: [5, 'u32'],
  L_THRESH: [6, 'u32'],
  ACTIVE_CONNS: [7, 'u32'],
  INACT_CONNS: [8, 'u32'],
  PERSIST_CONNS: [9, 'u32'],
  ADDR_FAMILY: [11, 'u16'],
});

export const DAEMON_ATTR = table({ STATE: [1, 'u32'], MCAST_IFN: [2, 'string'], SYNC_ID: [3, 'u32'] });
/** IP_VS_STATE_BACKUP: takes entries from others. */
export const STATE_BACKUP = 2;

export const CMD_ATTR = table({ SERVICE: [1, SVC_ATTR], DEST: [2, DEST_ATTR], DAEMON: [3, DAEMON_ATTR] });

/** Bits of a service that can be set; HASHED is the kernel's own. */
export const SVC_F = { PERSISTENT: 0x1, HASHED: 0x2, ONEPACKET: 0x4 } as const;

/** Scheduler bits SVC_F_SCHED1 to 3 by the project's names for them, in order. */
export const SVC_F_SCHED: Readonly<Record<SchedulerBit, number>> = { 'flag-1': 0x8, 'flag-2': 0x10, 'flag-3': 0x20 };

/** Forwarding methods MASQ, LOCALNODE, TUNNEL, DROUTE and BYPASS by ipvsadm's names for them. */
export const CONN_F: Readonly<Record<ForwardingMethod, number>> = {
  masquerading: 0,
  local: 1,
  tunneling: 2,
  gatewaying: 3,
  bypass: 4,
};
export const CONN_F_FWD_MASK = 0x7;

export const SCHEDNAME_MAXLEN = 16;
