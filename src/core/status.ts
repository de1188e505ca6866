import type { Pool } from '../schema.ts';
import type { Agents } from './agents.ts';
import { serviceId } from './director.ts';
import { connectionsOf, remainingOf } from './drains.ts';
import type { Address, Services } from './kernel-state.ts';
import { type ServiceId, serviceKey } from './kernel-state.ts';
import type { Drain, State } from './state.ts';
import { type Step, subjectOf } from './steps.ts';
import type { Standing } from './weight.ts';

/** What status is made from: the last pass over the director's kernel. */
export interface StatusFacts {
  state: State;
  reconciledRevision: number;
  services: Services;
  addresses: readonly Address[];
  /** By pool, then by real server. */
  standings: ReadonlyMap<string, ReadonlyMap<string, Standing>>;
  /** VIPs that are not taken, and why. */
  blocked: ReadonlyMap<string, string>;
  failures: readonly { step: Step; message: string }[];
  held: boolean;
  interface: string;
  manageVip: boolean;
  agents: Agents;
  /** Whether something on this host listens there, by service key, for policy "director". */
  listening: ReadonlyMap<string, boolean>;
  /** Milliseconds since the epoch. */
  now: number;
}

/** What the kernel still lacks of one pool, in words. */
export function missingOf(pool: Pool, facts: Pick<StatusFacts, 'blocked' | 'failures' | 'held'>): string[] {
  const prefix = serviceKey({ vip: pool.vip, port: 0, protocol: 'tcp' }).slice(0, -'0/tcp'.length);
  const missing = facts.failures
    .filter(
      ({ step }) => step.op === 'set-sysctl' || subjectOf(step) === pool.vip || subjectOf(step).startsWith(prefix),
    )
    .map(({ message }) => message);
  const blocked = facts.blocked.get(pool.vip);
  if (blocked) missing.push(blocked);
  if (facts.held)
    missing.push(
      'the agents have not all reported since the controller started: nothing is taken away before they have, or 3 s have passed',
    );
  return [...new Set(missing)];
}

export interface PoolSummary {
  vip: string;
  revision: number;
  well: boolean;
  serving: number;
  realServers: number;
  missing: string[];
}

export interface Unwell {
  pool: string;
  realServer?: string;
  reason: string;
}

/** Counts, pools and whatever is not well. */
export function summaryOf(facts: StatusFacts) {
  const pools: Record<string, PoolSummary> = {};
  const unwell: Unwell[] = [];
  let realServers = 0;
  let serving = 0;
  for (const [name, { pool, revision }] of Object.entries(facts.state.pools)) {
    const missing = missingOf(pool, facts);
    const standings = [...(facts.standings.get(name) ?? [])];
    const silent = silentPorts(pool, facts);
    const sick = standings.filter(([, standing]) => !standing.well);
    const up = standings.filter(([, standing]) => standing.serving).length;
    realServers += standings.length;
    serving += up;
    pools[name] = {
      vip: pool.vip,
      revision,
      well: missing.length + silent.length + sick.length === 0,
      serving: up,
      realServers: standings.length,
      missing,
    };
    for (const reason of [...missing, ...silent]) unwell.push({ pool: name, reason });
    for (const [realServer, { reason }] of sick) unwell.push({ pool: name, realServer, reason });
  }
  let destinations = 0;
  for (const service of facts.services.values()) destinations += service.destinations.length;
  const counts = {
    pools: Object.keys(pools).length,
    realServers,
    serving,
    services: facts.services.size,
    destinations,
    draining: facts.state.drains.filter((d) => !d.done).length,
  };
  return { counts, pools, unwell };
}

/** One pool with desired, observed and actual, and the reason for each weight in words. */
export function detailOf(name: string, facts: StatusFacts) {
  const entry = Object.hasOwn(facts.state.pools, name) ? facts.state.pools[name] : undefined;
  if (!entry) return undefined;
  const drains = facts.state.drains.filter((drain) => drain.pool === name);
  const { pool, revision } = entry;
  const missing = missingOf(pool, facts);
  const held = facts.addresses.find(({ address }) => address === pool.vip);
  return {
    revision,
    well:
      missing.length + silentPorts(pool, facts).length === 0 &&
      [...(facts.standings.get(name) ?? [])].every(([, { well }]) => well),
    missing,
    vip: {
      address: pool.vip,
      desired: facts.manageVip,
      actual: held !== undefined,
      interface: held?.interface ?? null,
      reason: facts.blocked.get(pool.vip) ?? vipWords(held, facts),
    },
    ports: Object.fromEntries(Object.keys(pool.ports).map((key) => [key, portDetail(pool, key, facts)])),
    realServers: Object.fromEntries(
      Object.keys(pool.realServers).map((rs) => [rs, realServerDetail(name, pool, rs, drains, facts)]),
    ),
    leaving: drains
      .filter((drain) => drain.realServer === null || pool.realServers[drain.realServer]?.address !== drain.address)
      .map((drain) => ({ realServer: drain.realServer, address: drain.address, ...drainDetail(drain, facts) })),
  };
}

function vipWords(held: Address | undefined, facts: StatusFacts): string {
  if (held)
    return held.interface === facts.interface || !facts.manageVip
      ? `on ${held.interface}`
      : `on ${held.interface}, where it was found, not on ${facts.interface}`;
  return facts.manageVip ? 'about to be taken' : 'not on this host: its owner (manageVip is false) has it elsewhere';
}

function portDetail(pool: Pool, key: string, facts: StatusFacts) {
  const port = pool.ports[key];
  const id = serviceId(pool.vip, key);
  const service = facts.services.get(serviceKey(id));
  if (port?.policy !== 'director')
    return { desired: port, actual: service ? { ...service.config, destinations: service.destinations.length } : null };
  const listening = facts.listening.get(serviceKey(id)) ?? null;
  const reason =
    listening === false
      ? silentWords(id)
      : `stays on this host${listening ? `: something listens on port ${id.port}` : ''}`;
  return { desired: port, actual: { listening, service: service !== undefined }, reason };
}

function silentWords({ vip, port, protocol }: ServiceId): string {
  return `port ${port}/${protocol} stays on this host, and nothing listens on ${vip} or the wildcard there: start the program that answers it`;
}

/** What is wrong with the ports that stay on the director. */
function silentPorts(pool: Pool, facts: Pick<StatusFacts, 'listening'>): string[] {
  const ids = Object.keys(pool.ports).map((key) => serviceId(pool.vip, key));
  return ids.filter((id) => facts.listening.get(serviceKey(id)) === false).map(silentWords);
}

function realServerDetail(poolName: string, pool: Pool, name: string, drains: Drain[], facts: StatusFacts) {
  const server = pool.realServers[name];
  const standing = facts.standings.get(poolName)?.get(name);
  const agent = facts.agents.get(name);
  const drain = drains.find((d) => d.realServer === name && d.address === server?.address && d.vip === pool.vip);
  const said = agent?.report.vips[pool.vip];
  const actual: Record<
    string,
    { weight: number; activeConnections: number; inactiveConnections: number; persistentConnections: number }
  > = {};
  for (const key of Object.keys(pool.ports)) {
    const is = facts.services
      .get(serviceKey(serviceId(pool.vip, key)))
      ?.destinations.find((d) => d.address === server?.address);
    if (is)
      actual[key] = {
        weight: is.weight,
        activeConnections: is.connections.active,
        inactiveConnections: is.connections.inactive,
        persistentConnections: is.connections.persistent,
      };
  }
  return {
    address: server?.address,
    weight: standing?.weight ?? 0,
    serving: standing?.serving ?? false,
    reason: standing?.reason ?? 'not looked at yet',
    desired: { weight: server?.weight, state: server?.state },
    observed: {
      agent: agent
        ? {
            lastReportAgoMs: agent.lastReport === null ? null : Math.max(0, facts.now - agent.lastReport),
            revision: agent.report.revision,
            problems: agent.report.problems,
          }
        : null,
      vip: said ?? null,
    },
    actual,
    ...(drain && { drain: drainDetail(drain, facts) }),
  };
}

function drainDetail(drain: Drain, facts: StatusFacts) {
  const connections = remainingOf(drain, connectionsOf(drain, facts.services));
  return { done: drain.done, remainingConnections: connections, deadline: new Date(drain.deadline).toISOString() };
}
