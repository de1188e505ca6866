import type { Offload } from '../core/doctor/director.ts';
import type { Firewall } from '../core/doctor/firewall.ts';
import type { Manager } from '../core/doctor/managers.ts';
import type { Conntrack } from '../core/doctor/tables.ts';
import type {
  ActualAddress,
  CardCounters,
  HostRoute,
  Link,
  ServiceConfig,
  ServiceId,
  Services,
  Traffic,
} from '../core/kernel-state.ts';
import type { Step } from '../core/steps.ts';
import type { Claim } from '../core/witness.ts';

/** A step the kernel refused. */
export interface StepFailure {
  step: Step;
  /** Kernel's name of the error, such as EPERM. */
  code: string;
  /** What went wrong and what to do about it, in words. */
  message: string;
}

/** What a doctor looks at besides addresses, routes and sysctls. */
export interface Vitals {
  firewall(): Promise<Firewall>;
  /** Network managers that look after an interface. */
  managers(interfaceName: string): Manager[];
  /** Names of the modules that this kernel has or can load. */
  modules(): Set<string>;
  /** Two to this is the size of the table of IPVS connections; undefined where the kernel does not tell. */
  connectionTableBits(): number | undefined;
  /** Undefined where the driver does not say. */
  offload(interfaceName: string): Offload | undefined;
  /** Undefined where connection tracking is not loaded. */
  conntrack(): Conntrack | undefined;
}

/** This host's kernel, in the network namespace of the process. Every method may throw {@link KernelError}. */
export interface Kernel {
  /** Every IPVS service of an address (not of a firewall mark) with its destinations. Yields to the event loop on large tables. */
  services(): Promise<Services>;
  /** Every IPVS service without its destinations (`destinations` is empty), with its counters. Cheap. */
  serviceConfigs(): Promise<Map<string, { id: ServiceId; config: ServiceConfig; traffic: Traffic }>>;
  addresses(): ActualAddress[];
  links(): Link[];
  /** Default gateways of this host, both families. */
  gateways(): string[];
  /** Unicast routes of the main table, both families. */
  routes(): HostRoute[];
  /** Value of a sysctl such as net.ipv4.conf.all.arp_ignore, trimmed; undefined where the kernel has none. */
  sysctl(key: string): string | undefined;
  /**
   * Applies the steps in order, IPVS ones in batches, and goes on after a failure. What is already so is no failure
   * (EEXIST on add becomes a set, ENOENT or ESRCH on delete is success).
   */
  apply(steps: readonly Step[]): Promise<StepFailure[]>;
  /** Ethernet address of another host that answers for `address` on `interface` (ARP probe, RFC 5227; IPv6: RFC 4861), or undefined. */
  whoHas(address: string, interfaceName: string): Promise<string | undefined>;
  /**
   * All other hosts that answer for any of `addresses` on `interface`, each once; takes 300 ms. With `full` the questions
   * fill frames to the MTU.
   */
  whoClaims(addresses: readonly string[], interfaceName: string, full?: boolean): Promise<Claim[]>;
  /** Ports of `protocol` with a listener that takes packets to `address`, and what it is bound to, by sock_diag. */
  listeners(address: string, protocol: 'tcp' | 'udp'): Map<number, 'address' | 'wildcard'>;
  /** What a network card counted; undefined where there is no such interface. */
  card(interfaceName: string): CardCounters | undefined;
  /** Speed of a card in Mbit/s as its driver says; undefined where it does not say (virtual ones often lie). */
  cardSpeed(interfaceName: string): number | undefined;
  /** Established TCP connections to each of these addresses of this host, by port. */
  established(addresses: Iterable<string>): Map<string, Map<number, number>>;
  vitals: Vitals;
  /** Calls back (coalesced, within some ms) after addresses or links changed. */
  watch(changed: () => void): { close(): void };
  /** Changes with every boot and with every network namespace: what was set before is gone when it differs. */
  bootId(): string;
  close(): void;
}
