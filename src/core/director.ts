import { type BalancedPort, maskLength, type Pool, type Pools } from '../schema.ts';
import { familyOf, hostPrefix } from './address.ts';
import { type Agents, type Attestation, attestationOf } from './agents.ts';
import type {
  Address,
  Destination,
  Protocol,
  SchedulerBit,
  Service,
  ServiceConfig,
  ServiceId,
} from './kernel-state.ts';
import { serviceKey } from './kernel-state.ts';
import { drainKey, memberOf } from './pools.ts';
import type { Drain } from './state.ts';
import { type Standing, standingOf } from './weight.ts';

/** What this host's kernel must look like. */
export interface Desired {
  services: Map<string, Service>;
  /** Addresses to be taken, by address. */
  addresses: Map<string, Address>;
  /** Addresses that something here is about: not taken away even where this host does not take them itself. */
  vips: Set<string>;
  /** By service key: those that stay with this host's own programs (policy "director"): no IPVS service there. */
  localPorts: Map<string, ServiceId>;
  sysctls: Map<string, string>;
}

/** Everything that the desired state of the director depends on. */
export interface DirectorFacts {
  pools: Pools;
  drains: readonly Drain[];
  agents: Agents;
  /** Interface that the VIPs go on. */
  interface: string;
  manageVip: boolean;
  /** VIPs that another host answers for, with its Ethernet address. */
  conflicts: ReadonlyMap<string, string>;
  /** This host's own addresses: a real server with one of them is the director itself (LocalNode). */
  localAddresses: ReadonlySet<string>;
}

export function desiredDirector(facts: DirectorFacts): Desired {
  const desired: Desired = {
    services: new Map(),
    addresses: new Map(),
    vips: new Set(),
    localPorts: new Map(),
    sysctls: new Map(),
  };
  const drains = groupDrains(facts.drains);
  for (const [name, pool] of Object.entries(facts.pools)) {
    const members = destinationsOf(name, pool, facts, drains.get(name) ?? []);
    for (const [key, port] of Object.entries(pool.ports)) {
      const id = serviceId(pool.vip, key);
      if (port.policy === 'director') desired.localPorts.set(serviceKey(id), id);
      else
        desired.services.set(serviceKey(id), {
          id,
          config: serviceConfig(pool.vip, port),
          destinations: members
            .filter((m) => !m.ports || m.ports.includes(key))
            .map((m) => ({ ...m.destination, port: id.port })),
        });
    }
    desired.vips.add(pool.vip);
    if (!facts.manageVip || facts.conflicts.has(pool.vip)) continue;
    desired.addresses.set(pool.vip, { address: pool.vip, prefix: hostPrefix(pool.vip), interface: facts.interface });
    if (familyOf(pool.vip) === 'ipv6')
      desired.sysctls.set(`net.ipv6.conf.${sysctlName(facts.interface)}.ndisc_notify`, '1');
  }
  return desired;
}

/** Weight and reason of every member of a pool, by name. */
export function standingsOf(name: string, pool: Pool, facts: DirectorFacts): Map<string, Standing> {
  const drains = new Map(facts.drains.map((d) => [drainKey(d.pool, d.vip, d.address), d]));
  return new Map(
    Object.entries(pool.realServers).map(([rs, server]) => [
      rs,
      standingOf(
        server,
        attest(rs, server.address, pool.vip, facts),
        drains.get(drainKey(name, pool.vip, server.address)),
      ),
    ]),
  );
}

function attest(name: string, address: string, vip: string, facts: DirectorFacts): Attestation {
  return facts.localAddresses.has(address)
    ? { verdict: 'fit', reason: 'it is the director itself (LocalNode)' }
    : attestationOf(name, address, vip, facts.agents);
}

interface Member {
  destination: Omit<Destination, 'port'>;
  /** Limits the destination to these ports; all of them when absent. */
  ports?: string[];
}

function destinationsOf(name: string, pool: Pool, facts: DirectorFacts, drains: Drain[]): Member[] {
  const byKey = new Map(drains.map((d) => [drainKey(d.pool, d.vip, d.address), d]));
  const members: Member[] = [];
  for (const [rs, server] of Object.entries(pool.realServers)) {
    const drain = byKey.get(drainKey(name, pool.vip, server.address));
    if (server.state !== 'active' && (drain?.done ?? true)) continue;
    const { weight } = standingOf(server, attest(rs, server.address, pool.vip, facts), drain);
    members.push({
      destination: {
        address: server.address,
        method: 'gatewaying',
        weight,
        upperThreshold: server.upperThreshold ?? 0,
        lowerThreshold: server.lowerThreshold ?? 0,
      },
    });
  }
  for (const drain of drains)
    if (
      !drain.done &&
      drain.vip === pool.vip &&
      !memberOf(facts.pools, drain) &&
      !members.some((m) => m.destination.address === drain.address)
    )
      members.push({
        destination: { address: drain.address, method: 'gatewaying', weight: 0, upperThreshold: 0, lowerThreshold: 0 },
        ports: drain.ports,
      });
  return members;
}

function groupDrains(drains: readonly Drain[]): Map<string, Drain[]> {
  const groups = new Map<string, Drain[]>();
  for (const drain of drains) groups.set(drain.pool, [...(groups.get(drain.pool) ?? []), drain]);
  return groups;
}

/** The IPVS service of the pool port `key`, such as "80/tcp". */
export function serviceId(vip: string, key: string): ServiceId {
  const [port = '', protocol = ''] = key.split('/');
  return { vip, port: Number(port), protocol: protocol as Protocol };
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
function schedulerBit(flag: string): SchedulerBit {
  if (flag.endsWith('-fallback')) return 'flag-1';
  return flag.endsWith('-port') ? 'flag-2' : (flag as SchedulerBit);
}

/** An interface's name inside a sysctl key: dots become slashes (sysctl(8)). */
export const sysctlName = (interfaceName: string): string => interfaceName.replaceAll('.', '/');
