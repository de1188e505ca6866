import { isDeepStrictEqual } from 'node:util';
import type { Desired } from './director.ts';
import type { ActualService, Address, Destination, Route, Service, ServiceConfig, Services } from './kernel-state.ts';
import { destinationKey, routeKey } from './kernel-state.ts';
import type { Ledger } from './state.ts';
import type { AddressRole, Step } from './steps.ts';

/** What a kernel says at one moment, as far as plans need it. */
export interface Actual {
  services: Services;
  addresses: readonly (Address & { dadFailed?: boolean })[];
  /** By key; undefined values are sysctls that this kernel does not have. */
  sysctls: ReadonlyMap<string, string | undefined>;
  /** Routes to single addresses on the networks of interfaces. */
  routes: readonly Route[];
}

export interface PlanOptions {
  role: AddressRole;
  /**
   * False until the first round of reports and probes after a start: then nothing is deleted and no weight is lowered,
   * since what is not known yet may be what keeps traffic flowing.
   */
  settled: boolean;
}

/**
 * The steps from `actual` to `desired`, in the order that loses no packet: services with their destinations before the
 * VIP draws traffic to them, sysctls before addresses, weight 0 before a destination goes, services before their VIP.
 * Touches nothing that is neither desired nor in the ledger. No steps when nothing is to be done.
 */
export function plan(desired: Desired, actual: Actual, ledger: Ledger, options: PlanOptions): Step[] {
  const wanted = withAdopted(desired, ledger);
  const steps: Step[] = [];
  for (const [key, value] of wanted.sysctls) {
    const is = actual.sysctls.get(key);
    if (is !== undefined && is !== value) steps.push({ op: 'set-sysctl', key, value });
  }
  const routes = new Set(actual.routes.map(routeKey));
  for (const [key, route] of wanted.routes) if (!routes.has(key)) steps.push({ op: 'add-route', ...route });
  for (const [key, service] of wanted.services) serviceSteps(service, actual.services.get(key), options.settled, steps);
  const sound = new Set(actual.addresses.filter((a) => !a.dadFailed).map((a) => a.address));
  const failed = new Map(actual.addresses.filter((a) => a.dadFailed).map((a) => [a.address, a]));
  for (const address of wanted.addresses.values()) {
    if (sound.has(address.address)) continue;
    const is = failed.get(address.address);
    if (is) steps.push({ op: 'delete-address', address: is.address, prefix: is.prefix, interface: is.interface });
    steps.push({ op: 'add-address', ...address, role: options.role });
    if (options.role === 'director')
      steps.push({ op: 'announce', address: address.address, interface: address.interface });
  }
  if (!options.settled) return steps;
  for (const [key, service] of actual.services)
    if (!wanted.services.has(key) && (ledger.services[key]?.origin === 'made' || wanted.localPorts.has(key)))
      steps.push({ op: 'delete-service', service: service.id });
  for (const [address, { origin, ...owned }] of Object.entries(ledger.addresses)) {
    if (origin !== 'made' || wanted.addresses.has(address)) continue;
    if (holds({ address, ...owned }, actual.addresses) && (!wanted.vips.has(address) || !sound.has(address)))
      steps.push({ op: 'delete-address', address, ...owned });
  }
  for (const [key, route] of Object.entries(ledger.routes))
    if (!wanted.routes.has(key) && routes.has(key)) steps.push({ op: 'delete-route', ...route });
  for (const [key, before] of Object.entries(ledger.sysctls)) {
    const is = actual.sysctls.get(key);
    if (!wanted.sysctls.has(key) && is !== undefined && is !== before)
      steps.push({ op: 'set-sysctl', key, value: before });
  }
  return steps;
}

/** Adopted services that no pool names any more are put back as they were found. */
function withAdopted(desired: Desired, ledger: Ledger): Desired {
  const services = new Map(desired.services);
  for (const [key, owned] of Object.entries(ledger.services))
    if (owned.origin === 'adopted' && !services.has(key) && !desired.localPorts.has(key))
      services.set(key, owned.before);
  return { ...desired, services };
}

/** Whether this very address is there, and not only the same one with another prefix or on another interface. */
export function holds(own: Address, addresses: readonly Address[]): boolean {
  return addresses.some((a) => a.address === own.address && a.prefix === own.prefix && a.interface === own.interface);
}

/** Whether the kernel's service is just as wanted. */
export function matches(want: Service, is: ActualService): boolean {
  const steps: Step[] = [];
  serviceSteps(want, is, true, steps);
  return steps.length === 0;
}

function serviceSteps(want: Service, is: ActualService | undefined, settled: boolean, steps: Step[]): void {
  const service = want.id;
  if (!is) steps.push({ op: 'add-service', service, config: want.config });
  else if (!sameConfig(want.config, is.config)) steps.push({ op: 'set-service', service, config: want.config });
  const before = new Map(is?.destinations.map((d) => [destinationKey(d), d]));
  const lowered: Step[] = [];
  for (const destination of want.destinations) {
    const key = destinationKey(destination);
    const old = before.get(key);
    before.delete(key);
    if (!old) steps.push({ op: 'add-destination', service, destination });
    else if (!settled && destination.weight < old.weight) {
      const held = { ...destination, weight: old.weight };
      if (!sameDestination(held, old)) steps.push({ op: 'set-destination', service, destination: held });
    } else if (!sameDestination(destination, old))
      (destination.weight < old.weight ? lowered : steps).push({ op: 'set-destination', service, destination });
  }
  steps.push(...lowered);
  if (!settled) return;
  for (const { connections: _, ...gone } of before.values()) {
    if (gone.weight > 0) steps.push({ op: 'set-destination', service, destination: { ...gone, weight: 0 } });
    steps.push({ op: 'delete-destination', service, address: gone.address, port: gone.port });
  }
}

function sameConfig(a: ServiceConfig, b: ServiceConfig): boolean {
  return (
    a.scheduler === b.scheduler &&
    a.persistenceSeconds === b.persistenceSeconds &&
    a.onePacket === b.onePacket &&
    // The mask means nothing without persistence.
    (a.persistenceSeconds === 0 || a.persistencePrefix === b.persistencePrefix) &&
    isDeepStrictEqual(a.schedulerBits, b.schedulerBits)
  );
}

function sameDestination(a: Destination, b: Destination): boolean {
  return (
    a.weight === b.weight &&
    a.upperThreshold === b.upperThreshold &&
    a.lowerThreshold === b.lowerThreshold &&
    (a.method === b.method || b.method === 'local')
  );
}
