import type { AgentDesired, Pools, Report } from '../schema.ts';
import { balancedPorts, memberOf } from './pools.ts';
import type { Drain } from './state.ts';

/** What one agent last said, under the name of its real server. */
export interface AgentRecord {
  report: Report;
  /** Milliseconds since the epoch; null when it is known from before this start only. */
  lastReport: number | null;
}

export type Agents = ReadonlyMap<string, AgentRecord>;

/** Whether a real server may carry traffic, as its own host says. */
export interface Attestation {
  verdict: 'fit' | 'unfit' | 'unknown';
  /** In words. */
  reason: string;
}

/** The attestation of the real server `name` at `address` for one VIP. */
export function attestationOf(name: string, address: string, vip: string, agents: Agents): Attestation {
  const agent = agents.get(name);
  if (!agent)
    return {
      verdict: 'unknown',
      reason: `no agent has reported for ${name} yet: start dsr-agent on ${address} with the name "${name}"`,
    };
  const { addresses, vips, problems } = agent.report;
  if (!addresses.includes(address))
    return {
      verdict: 'unfit',
      reason: `the agent "${name}" runs on a host without ${address} (it has ${addresses.slice(0, 5).join(', ') || 'none'}): correct the address in the pool, or the agent's name`,
    };
  const said = vips[vip];
  if (!said)
    return {
      verdict: 'unfit',
      reason: `the agent on ${name} has not set up ${vip} yet${problems[0] ? `: ${problems[0]}` : ''}`,
    };
  if (!said.present)
    return { verdict: 'unfit', reason: `VIP ${vip} is not on lo of ${name}${said.problem ? `: ${said.problem}` : ''}` };
  if (!said.suppressed)
    return {
      verdict: 'unfit',
      reason: `${name} would answer ARP for ${vip}${said.problem ? `: ${said.problem}` : ''}`,
    };
  return { verdict: 'fit', reason: 'its agent reports the VIP on lo and ARP suppressed' };
}

/**
 * What the host of the real server `name` must look like: the VIPs of its pools, and those of pools that it left until
 * the director is rid of it.
 */
export function agentDesired(name: string, revision: number, pools: Pools, drains: readonly Drain[]): AgentDesired {
  const vips = new Map<string, { vip: string; address: string; ports: Set<string> }>();
  const want = (vip: string, address: string, ports: string[]) => {
    if (ports.length === 0) return;
    const entry = vips.get(vip) ?? { vip, address, ports: new Set<string>() };
    for (const port of ports) entry.ports.add(port);
    vips.set(vip, entry);
  };
  for (const pool of Object.values(pools)) {
    const member = Object.hasOwn(pool.realServers, name) ? pool.realServers[name] : undefined;
    if (member) want(pool.vip, member.address, balancedPorts(pool));
  }
  for (const drain of drains)
    if (drain.realServer === name && !memberOf(pools, drain)) want(drain.vip, drain.address, drain.ports);
  return {
    revision,
    vips: [...vips.values()]
      .map(({ vip, address, ports }) => ({ vip, address, ports: [...ports].sort() }))
      .sort((a, b) => (a.vip < b.vip ? -1 : 1)),
  };
}
