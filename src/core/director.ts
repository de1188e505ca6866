import { type BalancedPort, isForwarded, maskLength, type Pool, type Pools } from '../schema.ts';
import { familyOf, hostPrefix } from './address.ts';
import { ipvsSysctls } from './ipvs-sysctls.ts';
import type { Address, Destination, Route, SchedulerBit, Service, ServiceConfig, ServiceId } from './kernel-state.ts';
import { serviceId, serviceKey } from './kernel-state.ts';
import { drainKey, memberOf } from './pools.ts';
import type { Observed, Standings } from './standings.ts';
import type { Drain } from './state.ts';
import type { PortStandings } from './weight.ts';

/** What this host's kernel must look like. */
export interface Desired {
  services: Map<string, Service>;
  /** Addresses to be taken, by address. */
  addresses: Map<string, Address>;
  /** Addresses that something here is about: not taken away even where this host does not take them itself. */
  vips: Set<string>;
  /** By service key: those that stay with this host's own programs (policy "director", and engines that answer here): no IPVS service there. */
  localPorts: Map<string, ServiceId>;
  sysctls: Map<string, string>;
  /** By {@link routeKey}. */
  routes: Map<string, Route>;
}

/** Everything that the desired state of the director depends on. */
export interface DirectorFacts extends Observed {
  pools: Pools;
  drains: readonly Drain[];
  /** Interface that the VIPs go on. */
  interface: string;
  manageVip: boolean;
  /** VIPs that another host answers for, with its Ethernet address. */
  conflicts: ReadonlyMap<string, string>;
}

/** @param standings of these facts, by {@link standingsOf} */
export function desiredDirector(facts: DirectorFacts, standings: Standings): Desired {
  const desired: Desired = {
    services: new Map(),
    addresses: new Map(),
    vips: new Set(),
    localPorts: new Map(),
    sysctls: new Map(),
    routes: new Map(),
  };
  const drains = groupDrains(facts.drains);
  for (const [name, pool] of Object.entries(facts.pools)) {
    const members = membersOf(name, pool, facts, drains.get(name) ?? []);
    for (const [key, port] of Object.entries(pool.ports)) {
      const id = serviceId(pool.vip, key);
      if (port.policy === 'url' && port.engine === 'handoff')
        desired.services.set(serviceKey(id), {
          id,
          // A hash would refuse what falls to the others, whose weight is 0; the front picks the real servers, not IPVS.
          config: serviceConfig(pool.vip, { ...port, scheduler: 'wlc', schedulerFlags: [] }),
          destinations: handedDestinations(members, id, key),
        });
      else if (!isForwarded(port)) desired.localPorts.set(serviceKey(id), id);
      else
        desired.services.set(serviceKey(id), {
          id,
          config: serviceConfig(pool.vip, port),
          destinations: destinationsOf(members, id, key, pool, standings.get(name)?.ports.get(key)),
        });
    }
    desired.vips.add(pool.vip);
    if (!facts.manageVip || facts.conflicts.has(pool.vip)) continue;
    desired.addresses.set(pool.vip, { address: pool.vip, prefix: hostPrefix(pool.vip), interface: facts.interface });
    if (familyOf(pool.vip) === 'ipv6')
      desired.sysctls.set(`net.ipv6.conf.${sysctlName(facts.interface)}.ndisc_notify`, '1');
  }
  if (desired.services.size > 0) for (const { key, value } of ipvsSysctls) desired.sysctls.set(key, value);
  return desired;
}

interface Member {
  /** Name in the pool; undefined: it has left it, or nobody ever named it. */
  name?: string;
  destination: Omit<Destination, 'port' | 'weight'>;
  /** Limits the destination to these ports; all of them when absent. */
  ports?: string[];
}

function membersOf(name: string, pool: Pool, facts: DirectorFacts, drains: Drain[]): Member[] {
  const byKey = new Map(drains.map((d) => [drainKey(d.pool, d.vip, d.address), d]));
  const members: Member[] = [];
  for (const [rs, server] of Object.entries(pool.realServers)) {
    const drain = byKey.get(drainKey(name, pool.vip, server.address));
    if (server.state !== 'active' && (drain?.done ?? true)) continue;
    const { address, upperThreshold = 0, lowerThreshold = 0 } = server;
    members.push({ name: rs, destination: { address, method: 'gatewaying', upperThreshold, lowerThreshold } });
  }
  for (const { done, vip, address, ports, ...drain } of drains)
    if (
      !done &&
      vip === pool.vip &&
      !memberOf(facts.pools, { done, vip, address, ports, ...drain }) &&
      !members.some((m) => m.destination.address === address)
    )
      members.push({ destination: { address, method: 'gatewaying', upperThreshold: 0, lowerThreshold: 0 }, ports });
  return members;
}

function destinationsOf(
  members: readonly Member[],
  { vip, port }: ServiceId,
  key: string,
  pool: Pool,
  standings: PortStandings | undefined,
): Destination[] {
  const list = members
    .filter(({ ports }) => !ports || ports.includes(key))
    .map(({ name, destination }) => {
      const weight = name === undefined ? 0 : (standings?.members.get(name)?.weight ?? 0);
      return { ...destination, port, weight };
    });
  // Always there, so that its connections go on when the real servers are back. The VIP is this host's own address.
  if (pool.fallback === 'director') {
    const weight = standings?.directorAnswers ? 1 : 0;
    list.push({ address: vip, method: 'gatewaying', port, weight, upperThreshold: 0, lowerThreshold: 0 });
  }
  return list;
}

/**
 * Every new connection comes to the front on this host; what it hands over are entries of destinations with weight 0. Without
 * the service a client that uses its port again would be sent to the real server that had the last connection.
 */
function handedDestinations(members: readonly Member[], { vip, port }: ServiceId, key: string): Destination[] {
  const list = members
    .filter(({ ports }) => !ports || ports.includes(key))
    .map(({ destination }) => ({ ...destination, port, weight: 0 }));
  return [{ address: vip, method: 'gatewaying', port, weight: 1, upperThreshold: 0, lowerThreshold: 0 }, ...list];
}

function groupDrains(drains: readonly Drain[]): Map<string, Drain[]> {
  const groups = new Map<string, Drain[]>();
  for (const drain of drains) groups.set(drain.pool, [...(groups.get(drain.pool) ?? []), drain]);
  return groups;
}

function serviceConfig(vip: string, port: BalancedPort): ServiceConfig {
  const persistent = port.persistenceSeconds ?? 0;
  return {
    scheduler: port.scheduler,
    schedulerBits: [...new Set((port.schedulerFlags ?? []).map(schedulerBit))].sort(),
    persistenceSeconds: persistent,
    persistencePrefix:
      (persistent && port.persistenceNetmask !== undefined && maskLength(port.persistenceNetmask)) || hostPrefix(vip),
    onePacket: port.onePacket ?? false,
  };
}

/** ip_vs.h: IP_VS_SVC_F_SCHED_SH_FALLBACK and _MH_FALLBACK are SCHED1, _SH_PORT and _MH_PORT are SCHED2. */
export function schedulerBit(flag: string): SchedulerBit {
  if (flag.endsWith('-fallback')) return 'flag-1';
  return flag.endsWith('-port') ? 'flag-2' : (flag as SchedulerBit);
}

/** An interface's name inside a sysctl key: dots become slashes (sysctl(8)). */
export const sysctlName = (interfaceName: string): string => interfaceName.replaceAll('.', '/');
