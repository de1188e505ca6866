import type {
  ActualAddress,
  HostRoute,
  Link,
  ServiceConfig,
  ServiceId,
  Services,
  Traffic,
} from '../core/kernel-state.ts';
import type { Step } from '../core/steps.ts';

/** A step the kernel refused. */
export interface StepFailure {
  step: Step;
  /** Kernel's name of the error, such as EPERM. */
  code: string;
  /** What went wrong and what to do about it, in words. */
  message: string;
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
  /** Ports of `protocol` with a listener that takes packets to `address`, and what it is bound to, by sock_diag. */
  listeners(address: string, protocol: 'tcp' | 'udp'): Map<number, 'address' | 'wildcard'>;
  /** Calls back (coalesced, within some ms) after addresses or links changed. */
  watch(changed: () => void): { close(): void };
  /** Changes with every boot and with every network namespace: what was set before is gone when it differs. */
  bootId(): string;
  close(): void;
}
