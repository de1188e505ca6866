import { checkOf, isBalanced, isForwarded, type Pool, type Report } from '../schema.ts';
import type { Agents } from './agents.ts';
import { briefOf, type CapacityBrief, type CapacityFacts, capacityOf } from './capacity/pool.ts';
import { connectionsOf, remainingOf } from './drains.ts';
import type { Finding } from './health.ts';
import type { Address, Services } from './kernel-state.ts';
import { serviceId, serviceKey } from './kernel-state.ts';
import { type LocalPorts, localPortProblem } from './local-ports.ts';
import type { Standings } from './standings.ts';
import type { Drain, State } from './state.ts';
import { type Step, subjectOf } from './steps.ts';
import { targetKey, targetOf } from './targets.ts';
import { freshMs, type TrafficFacts } from './traffic.ts';
import { type Claimant, claimWords } from './witness.ts';

/** What status is made from: the last pass over the director's kernel. */
export interface StatusFacts extends LocalPorts {
  state: State;
  reconciledRevision: number;
  services: Services;
  addresses: readonly Address[];
  standings: Standings;
  findings: ReadonlyMap<string, Finding>;
  proberProblem: string | undefined;
  mtu: number | undefined;
  /** VIPs that are not taken, and why. */
  blocked: ReadonlyMap<string, string>;
  failures: readonly { step: Step; message: string }[];
  held: boolean;
  interface: string;
  manageVip: boolean;
  agents: Agents;
  traffic: TrafficFacts;
  capacity: CapacityFacts;
  /** Other hosts that answer for VIPs. */
  claimants: readonly Claimant[];
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
  capacity: CapacityBrief;
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
  const known = { ...facts, localAddresses: localAddressesOf(facts) };
  for (const [name, { pool, revision }] of Object.entries(facts.state.pools)) {
    const missing = missingOf(pool, facts);
    const standings = [...(facts.standings.get(name)?.realServers ?? [])];
    const notices = noticesOf(name, facts);
    const claims = claimsOn(pool.vip, facts);
    const local = localProblems(pool, facts);
    const sick = standings.filter(([, standing]) => !standing.well);
    const up = standings.filter(([, standing]) => standing.serving).length;
    realServers += standings.length;
    serving += up;
    pools[name] = {
      vip: pool.vip,
      revision,
      well: missing.length + local.length + sick.length + notices.length + claims.length === 0,
      serving: up,
      realServers: standings.length,
      missing,
      capacity: briefOf(capacityOf(name, pool, known)),
    };
    for (const reason of [...missing, ...local, ...notices]) unwell.push({ pool: name, reason });
    for (const { claim, reason } of claims)
      unwell.push({ pool: name, ...(claim.realServer !== undefined && { realServer: claim.realServer }), reason });
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
  return { counts, traffic: facts.traffic.view, pools, unwell };
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
      missing.length +
        localProblems(pool, facts).length +
        noticesOf(name, facts).length +
        claimsOn(pool.vip, facts).length ===
        0 && [...(facts.standings.get(name)?.realServers ?? [])].every(([, { well }]) => well),
    missing,
    balance: pool.balance,
    capacity: capacityOf(name, pool, { ...facts, localAddresses: localAddressesOf(facts) }),
    vip: {
      address: pool.vip,
      desired: facts.manageVip,
      actual: held !== undefined,
      interface: held?.interface ?? null,
      reason: facts.blocked.get(pool.vip) ?? vipWords(held, facts),
      claims: claimsOn(pool.vip, facts).map(({ claim, reason }) => ({
        mac: claim.mac,
        realServer: claim.realServer ?? null,
        reason,
      })),
    },
    ports: Object.fromEntries(Object.keys(pool.ports).map((key) => [key, portDetail(name, pool, key, facts)])),
    realServers: Object.fromEntries(
      Object.keys(pool.realServers).map((rs) => [rs, realServerDetail(name, pool, rs, drains, facts)]),
    ),
    leaving: drains
      .filter((drain) => drain.realServer === null || pool.realServers[drain.realServer]?.address !== drain.address)
      .map((drain) => ({ realServer: drain.realServer, address: drain.address, ...drainDetail(drain, facts) })),
  };
}

export const localAddressesOf = ({ addresses }: Pick<StatusFacts, 'addresses'>): Set<string> =>
  new Set(addresses.map(({ address }) => address));

/** Other hosts that answer for a VIP, and what to do. */
const claimsOn = (vip: string, { claimants }: StatusFacts) =>
  claimants.filter(({ address }) => address === vip).map((claim) => ({ claim, reason: claimWords(claim) }));

function vipWords(held: Address | undefined, facts: StatusFacts): string {
  if (held)
    return held.interface === facts.interface || !facts.manageVip
      ? `on ${held.interface}`
      : `on ${held.interface}, where it was found, not on ${facts.interface}`;
  return facts.manageVip ? 'about to be taken' : 'not on this host: its owner (manageVip is false) has it elsewhere';
}

function portDetail(name: string, pool: Pool, portKey: string, facts: StatusFacts) {
  const port = pool.ports[portKey];
  const id = serviceId(pool.vip, portKey);
  const service = facts.services.get(serviceKey(id));
  if (!port || isForwarded(port))
    return {
      desired: port,
      actual: service ? { ...service.config, destinations: service.destinations.length } : null,
      reason: facts.standings.get(name)?.ports.get(portKey)?.notice ?? balancedWords(port),
      traffic: facts.traffic.services.get(serviceKey(id)) ?? null,
    };
  const key = serviceKey(id);
  const listening = facts.listening.get(key) ?? null;
  const accepting = facts.connections.has(key) ? facts.connections.get(key) === undefined : null;
  const reason =
    localPortProblem(id, facts) ?? `stays on this host${listening ? `: something listens on port ${id.port}` : ''}`;
  return { desired: port, actual: { listening, accepting, service: service !== undefined }, reason };
}

const balancedWords = (port: Pool['ports'][string] | undefined): string =>
  port?.policy === 'url'
    ? `the URL decides (engine "${port.engine}"); connections are balanced over the real servers`
    : 'balanced over the real servers';

/** What holds of whole ports: a limit, or a fallback. */
function noticesOf(name: string, facts: Pick<StatusFacts, 'standings'>): string[] {
  const ports = facts.standings.get(name)?.ports ?? new Map();
  return [...ports].flatMap(([key, { notice }]) => (notice === undefined ? [] : [`${key}: ${notice}`]));
}

/** What is wrong with the ports that stay on the director. */
function localProblems(pool: Pool, facts: LocalPorts): string[] {
  return Object.entries(pool.ports).flatMap(([key, port]) => {
    const problem = !isForwarded(port) ? localPortProblem(serviceId(pool.vip, key), facts) : undefined;
    return problem === undefined ? [] : [problem];
  });
}

function realServerDetail(poolName: string, pool: Pool, name: string, drains: Drain[], facts: StatusFacts) {
  const server = pool.realServers[name];
  const standings = facts.standings.get(poolName);
  const standing = standings?.realServers.get(name);
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
      probes: server ? probesOf(pool, server.address, facts) : {},
      warnings: agent ? warningsOf(agent, said?.warnings ?? [], facts) : [],
    },
    ports: Object.fromEntries(
      [...(standings?.ports ?? [])].flatMap(([key, { members }]) => {
        const at = members.get(name);
        return at ? [[key, at]] : [];
      }),
    ),
    actual,
    traffic: trafficOf(name, pool.vip, facts),
    ...(drain && { drain: drainDetail(drain, facts) }),
  };
}

/** Null where its agent has not been heard of lately: what was is not what is. */
function trafficOf(name: string, vip: string, { traffic }: StatusFacts) {
  const card = traffic.cards.get(name);
  const fresh = card !== undefined && card.ageMs <= freshMs;
  return { card: fresh ? card : null, connections: (fresh && traffic.connections.get(name)?.[vip]) || {} };
}

/** What the director's probes came to, by balanced port. */
export function probesOf(pool: Pool, address: string, facts: StatusFacts) {
  return Object.fromEntries(
    Object.entries(pool.ports).flatMap(([key, port]) => {
      if (!isBalanced(port)) return [];
      const check = checkOf(pool, key, port);
      const finding = check && facts.findings.get(targetKey(targetOf(pool.vip, address, key, check)));
      if (!finding) return [];
      const { certificateExpires, ...health } = finding.health;
      const expires = certificateExpires === undefined ? {} : { certificateExpires: isoTime(certificateExpires) };
      return [[key, { ...health, since: isoTime(finding.at), ...expires }]];
    }),
  );
}

const isoTime = (ms: number) => new Date(ms).toISOString();

const clockWarningMs = 2000;

/** What may go wrong one day; takes nothing out of service. */
function warningsOf(
  { report, lastReport }: { report: Report; lastReport: number | null },
  said: string[],
  facts: StatusFacts,
) {
  const warnings = [...said];
  const { mtu, clock } = report;
  if (mtu !== undefined && facts.mtu !== undefined && mtu !== facts.mtu)
    warnings.push(
      `its interface has an MTU of ${mtu}, the director's ${facts.mtu}: give both the same, or large requests are lost`,
    );
  const skew = clock !== undefined && lastReport !== null ? clock - lastReport : 0;
  if (Math.abs(skew) > clockWarningMs)
    warnings.push(
      `its clock is ${Math.round(Math.abs(skew) / 1000)} s ${skew > 0 ? 'ahead of' : 'behind'} the director's: certificates and logs go by it; run a time service on both`,
    );
  return warnings;
}

function drainDetail(drain: Drain, facts: StatusFacts) {
  const connections = remainingOf(drain, connectionsOf(drain, facts.services));
  return { done: drain.done, remainingConnections: connections, deadline: new Date(drain.deadline).toISOString() };
}
