import { performance } from 'node:perf_hooks';
import { sysctlName } from '../core/director.ts';
import { ipvsSysctls } from '../core/ipvs-sysctls.ts';
import type { ActualAddress, Link, Services } from '../core/kernel-state.ts';
import type { Actual } from '../core/plan.ts';
import type { Kernel } from '../kernel/kernel.ts';

/** One look at the director's kernel. */
export interface Look extends Actual {
  services: Services;
  addresses: readonly ActualAddress[];
  links: readonly Link[];
  /** Milliseconds that the look took. */
  tookMs: number;
}

export async function lookAt(kernel: Kernel, interfaceName: string, ledgerSysctls: Iterable<string>): Promise<Look> {
  const began = performance.now();
  const addresses = kernel.addresses();
  const links = kernel.links();
  const services = await kernel.services();
  const keys = new Set([
    ...ledgerSysctls,
    `net.ipv6.conf.${sysctlName(interfaceName)}.ndisc_notify`,
    ...ipvsSysctls.map(({ key }) => key),
  ]);
  const sysctls = new Map([...keys].map((key) => [key, kernel.sysctl(key)]));
  // The director makes no routes.
  return { services, addresses, links, sysctls, routes: [], tookMs: performance.now() - began };
}
