import type { AgentDesired, Pool, Pools, Report } from '../schema.ts';
import { withPort } from './address.ts';
import { balancedPorts, memberOf } from './pools.ts';
import type { State } from './state.ts';
import { noPurges, type Purges } from './url/purges.ts';

/** What one agent last said, under the name of its real server. */
export interface AgentRecord {
  report: Report;
  /** Milliseconds since the epoch; null when it is known from before this start only. */
  lastReport: number | null;
  /** Of its host's card as it was last known, Mbit/s. */
  speedMbit?: number;
  /** What its doctor last found; undefined: nothing yet. */
  doctor?: Report['doctor'];
}

export type Agents = ReadonlyMap<string, AgentRecord>;

/** Of cards as they were last known, by real server, Mbit/s. */
export const speedsOf = (agents: Agents): Map<string, number> =>
  new Map([...agents].flatMap(([name, { speedMbit }]) => (speedMbit ? [[name, speedMbit] as const] : [])));

/** Whether a real server may carry traffic, as its own host says. */
export interface Attestation {
  /**
   * never: no agent has ever spoken for it. unasked: none speaks, and the pool does without. leaving: its host is about
   * to shut down.
   */
  verdict: 'fit' | 'unfit' | 'never' | 'unasked' | 'leaving';
  /** The agent has not been heard of lately: the verdict is its last. */
  silent: boolean;
  /** In words. */
  reason: string;
}

/** How a pool looks at attestations. */
export interface AttestationRules {
  /** optional: a real server without an agent that speaks is judged by its probes alone. */
  mode: 'required' | 'optional';
  /** Silence of an agent after which its word is its last, not its present one. */
  agentTimeoutMs: number;
  /** Milliseconds since the epoch. */
  now: number;
}

/** What is asked of an agent: one port of one VIP on the real server `name` at `address`. */
export interface Question {
  name: string;
  address: string;
  vip: string;
  /** Such as "80/tcp". */
  port: string;
}

export function attestationOf(question: Question, agents: Agents, rules: AttestationRules): Attestation {
  const { name, address } = question;
  const agent = agents.get(name);
  if (!agent) {
    if (rules.mode === 'optional') return { verdict: 'unasked', silent: false, reason: 'no agent is asked of it' };
    const reason = `no agent has reported for ${name} yet: start dsr-agent on ${address} with the name "${name}"`;
    return { verdict: 'never', silent: true, reason };
  }
  const silentMs = agent.lastReport === null ? null : rules.now - agent.lastReport;
  const silent = silentMs === null || silentMs > rules.agentTimeoutMs;
  if (silent && rules.mode === 'optional')
    return { verdict: 'unasked', silent: false, reason: 'its agent is silent, and none is asked of it' };
  const said = reportedOf(question, agent.report);
  if (!silent) return { ...said, silent };
  const reason = `the agent on ${name} is silent: it is not running there, or does not reach this host; its last word: ${said.reason}`;
  return { verdict: said.verdict, silent, reason };
}

/** What the report itself says. */
function reportedOf({ name, address, vip, port }: Question, report: Report): Omit<Attestation, 'silent'> {
  const { addresses, vips, problems, leaving } = report;
  const unfit = (reason: string) => ({ verdict: 'unfit', reason }) as const;
  if (leaving)
    return { verdict: 'leaving', reason: `${name} is shutting down: it takes no new connections until it is back` };
  if (!addresses.includes(address))
    return unfit(
      `the agent "${name}" runs on a host without ${address} (it has ${addresses.slice(0, 5).join(', ') || 'none'}): correct the address in the pool, or the agent's name`,
    );
  const said = Object.hasOwn(vips, vip) ? vips[vip] : undefined;
  if (!said) return unfit(`the agent on ${name} has not set up ${vip} yet${problems[0] ? `: ${problems[0]}` : ''}`);
  const why = said.problem ? `: ${said.problem}` : '';
  if (!said.present) return unfit(`VIP ${vip} is not on lo of ${name}${why}`);
  if (!said.suppressed) return unfit(`${name} would answer ARP for ${vip}${why}`);
  if (said.unreachable) return unfit(`${name} would drop what clients send to ${vip}: ${said.unreachable}`);
  const edge = said.edge?.[port];
  if (edge?.serving === false)
    return unfit(`on ${name} no web server answers by the rules of ${port}: ${edge.problem}`);
  const number = Number.parseInt(port, 10);
  if (said.listening?.[port] === 'own-address-only')
    return unfit(
      `on ${name} something listens on ${withPort(address, number)} only, and nothing on ${withPort(vip, number)}: let it listen on the VIP too, or on all addresses`,
    );
  if (said.listening?.[port] === 'nothing')
    return unfit(
      `nothing listens on ${withPort(vip, number)}/${port.split('/')[1]} of ${name}: start the server there`,
    );
  return { verdict: 'fit', reason: 'its agent reports the VIP on lo and ARP suppressed' };
}

/**
 * What the host of the real server `name` must look like: the VIPs of its pools, and those of pools that it left until
 * the director is rid of it.
 */
export function agentDesired(
  name: string,
  { revision, probers, drains, purges }: Pick<State, 'revision' | 'probers' | 'drains' | 'purges'>,
  pools: Pools,
): AgentDesired {
  type Entry = { vip: string; address: string; ports: Set<string>; edge: AgentEdge };
  const vips = new Map<string, Entry>();
  const want = (vip: string, address: string, ports: string[], edge: AgentEdge) => {
    if (ports.length === 0) return;
    const entry: Entry = vips.get(vip) ?? { vip, address, ports: new Set<string>(), edge: {} };
    for (const port of ports) entry.ports.add(port);
    Object.assign(entry.edge, edge);
    vips.set(vip, entry);
  };
  const edges = (poolName: string, pool: Pool) =>
    edgesOf(pool, (Object.hasOwn(purges, poolName) && purges[poolName]) || noPurges);
  for (const [poolName, pool] of Object.entries(pools)) {
    const member = Object.hasOwn(pool.realServers, name) ? pool.realServers[name] : undefined;
    if (member) want(pool.vip, member.address, balancedPorts(pool), edges(poolName, pool));
  }
  for (const drain of drains)
    if (drain.realServer === name && !memberOf(pools, drain)) {
      const pool = Object.hasOwn(pools, drain.pool) ? pools[drain.pool] : undefined;
      // Connections that it still has ask on by the same rules.
      want(drain.vip, drain.address, drain.ports, pool?.vip === drain.vip ? edges(drain.pool, pool) : {});
    }
  return {
    revision,
    vips: [...vips.values()]
      .map(({ vip, address, ports, edge }) => ({
        vip,
        address,
        ports: [...ports].sort(),
        ...(Object.keys(edge).length > 0 && { edge }),
      }))
      .sort((a, b) => (a.vip < b.vip ? -1 : 1)),
    probers,
  };
}

type AgentEdge = NonNullable<AgentDesired['vips'][number]['edge']>;

function edgesOf(pool: Pool, { generation, paths }: Purges): AgentEdge {
  return Object.fromEntries(
    Object.entries(pool.ports).flatMap(([key, port]) => {
      if (port.policy !== 'url' || !port.edge) return [];
      const { rules, otherwise, edge } = port;
      return [[key, { rules, otherwise, ...edge, generation, purged: paths }]];
    }),
  );
}
