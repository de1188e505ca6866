/** What a kernel can hold, as plain data: the same types say what is desired and what is actual. */

export type Protocol = 'tcp' | 'udp';

/** Identity of an IPVS service. Services by firewall mark are never represented: they are not ours. */
export interface ServiceId {
  vip: string;
  port: number;
  protocol: Protocol;
}

/** The three scheduler bits of IPVS (IP_VS_SVC_F_SCHED1..3); sh-fallback is flag-1 of sh, and so on. */
export type SchedulerBit = 'flag-1' | 'flag-2' | 'flag-3';

/** Everything of a service that can be set. */
export interface ServiceConfig {
  scheduler: string;
  /** Sorted, without duplicates. */
  schedulerBits: SchedulerBit[];
  /** 0: no persistence. */
  persistenceSeconds: number;
  /** Prefix length by which clients count as one, 1 to 32 or 128. */
  persistencePrefix: number;
  onePacket: boolean;
}

export type ForwardingMethod = 'masquerading' | 'local' | 'tunneling' | 'gatewaying' | 'bypass';

export interface Destination {
  address: string;
  port: number;
  method: ForwardingMethod;
  weight: number;
  /** 0: no limit. */
  upperThreshold: number;
  lowerThreshold: number;
}

/** Connections of a destination as IPVS counts them. */
export interface Connections {
  active: number;
  inactive: number;
  persistent: number;
}

export interface Service {
  id: ServiceId;
  config: ServiceConfig;
  destinations: Destination[];
}

export interface ActualDestination extends Destination {
  connections: Connections;
}

export interface ActualService extends Service {
  destinations: ActualDestination[];
}

/** Traffic of a service since it was added (64-bit counters; the director sees the requests only). */
export interface Traffic {
  connections: number;
  packetsIn: number;
  bytesIn: number;
}

/** What a network card counted since it came up (struct rtnl_link_stats64, linux/if_link.h). */
export interface CardCounters {
  interface: string;
  /** Ethernet address such as 02:00:00:00:00:01, or "" where there is none. */
  mac: string;
  rxBytes: number;
  txBytes: number;
  rxPackets: number;
  txPackets: number;
  /** Errors and drops. */
  rxLost: number;
  txLost: number;
}

export interface Address {
  address: string;
  prefix: number;
  /** Name of the interface that carries it. */
  interface: string;
}

/** A route to one address that is on the network of an interface itself (scope link). */
export interface Route {
  address: string;
  interface: string;
}

export const routeKey = (route: Route): string => `${route.address} dev ${route.interface}`;

/** A unicast route of the main table. */
export interface HostRoute {
  /** 0.0.0.0 or :: with prefix 0 is the default route. */
  destination: string;
  prefix: number;
  interface: string;
  /** By way of a gateway, and not on the network of the interface itself. */
  gateway: boolean;
}

export interface ActualAddress extends Address {
  /** IPv6: not yet proven unique (IFA_F_TENTATIVE). */
  tentative: boolean;
  /** IPv6: another host answered (IFA_F_DADFAILED). */
  dadFailed: boolean;
}

export interface Link {
  index: number;
  name: string;
  up: boolean;
  /** Has carrier (IFF_LOWER_UP). */
  carrier: boolean;
  loopback: boolean;
  /** Speaks ARP (no IFF_NOARP). */
  arp: boolean;
  /** Ethernet address such as 02:00:00:00:00:01, or "" where there is none. */
  mac: string;
  mtu: number;
}

/** IPVS table by {@link serviceKey}. */
export type Services = Map<string, ActualService>;

export const serviceKey = ({ vip, port, protocol }: ServiceId): string =>
  `${vip.includes(':') ? `[${vip}]` : vip}:${port}/${protocol}`;

export const destinationKey = ({ address, port }: { address: string; port: number }): string => `${address} ${port}`;

/** The service of the pool port `key`, such as "80/tcp". */
export function serviceId(vip: string, key: string): ServiceId {
  const [port = '', protocol = ''] = key.split('/');
  return { vip, port: Number(port), protocol: protocol as Protocol };
}
