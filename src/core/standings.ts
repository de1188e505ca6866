import { checkOf, isBalanced, isRedirected, type Pool, type Pools } from '../schema.ts';
import { type Agents, type Attestation, attestationOf } from './agents.ts';
import { type Headroom, headroomWords } from './headroom.ts';
import { type Finding, unknownHealth } from './health.ts';
import { serviceId, serviceKey } from './kernel-state.ts';
import { drainKey } from './pools.ts';
import type { Drain } from './state.ts';
import { targetKey, targetOf } from './targets.ts';
import { type Candidate, type PortStandings, type Standing, standingsOfPort } from './weight.ts';

/** What checks, agents and this host's own sockets tell, and what the last pass made of it. */
export interface Observed {
  agents: Agents;
  /** What the probes came to, by {@link targetKey}. */
  findings: ReadonlyMap<string, Finding>;
  /** Why nothing can be probed at present, in words. */
  proberProblem: string | undefined;
  /** Whether something on this host listens for a service, by service key. */
  listening: ReadonlyMap<string, boolean>;
  /** This host's own addresses: a real server with one of them is the director itself (LocalNode). */
  localAddresses: ReadonlySet<string>;
  /** Since when a real server takes connections at a port, milliseconds since the epoch, by {@link tenureKey}. */
  tenures: ReadonlyMap<string, number>;
  /** By pool: the weights of those with balance "headroom". */
  headrooms: ReadonlyMap<string, Headroom>;
  /** Milliseconds since the epoch. */
  now: number;
}

/** Weights and reasons of one pool. */
export interface PoolStandings {
  /** By balanced port, such as "80/tcp". */
  ports: Map<string, PortStandings>;
  /** By real server, over all ports: it serves where it serves at every port; the reason is the worst port's. */
  realServers: Map<string, Standing>;
}

/** By pool. */
export type Standings = Map<string, PoolStandings>;

export const tenureKey = (vip: string, port: string, address: string): string => `${vip} ${port} ${address}`;

export const standingsOf = (pools: Pools, drains: readonly Drain[], observed: Observed): Standings =>
  new Map(eachPoolsStandings(pools, drains, observed));

/** The same, one pool at a time: with thousands of members a caller may do something else between two. */
export function* eachPoolsStandings(
  pools: Pools,
  drains: readonly Drain[],
  observed: Observed,
): Generator<[string, PoolStandings]> {
  const byKey = new Map(drains.map((d) => [drainKey(d.pool, d.vip, d.address), d]));
  for (const [name, pool] of Object.entries(pools)) {
    const drainOf = (address: string) => byKey.get(drainKey(name, pool.vip, address));
    const ports = new Map<string, PortStandings>();
    for (const [key, port] of Object.entries(pool.ports))
      if (isBalanced(port))
        ports.set(key, standingsOfPort(candidatesOf(name, pool, key, drainOf, observed), { ...pool, ...observed }));
    yield [name, { ports, realServers: overall(pool, ports) }];
  }
}

function candidatesOf(
  poolName: string,
  pool: Pool,
  key: string,
  drainOf: (address: string) => Drain | undefined,
  observed: Observed,
): Map<string, Candidate> {
  const port = pool.ports[key];
  if (!port || !isBalanced(port)) return new Map();
  const byName = isRedirected(port);
  const check = byName ? undefined : checkOf(pool, key, port);
  const headroom = pool.balance === 'headroom' ? observed.headrooms.get(poolName) : undefined;
  return new Map(
    Object.entries(pool.realServers).map(([name, server]) => {
      const { address } = server;
      const isLocal = observed.localAddresses.has(address);
      const attestation = byName
        ? askedByName
        : isLocal
          ? localAttestation(pool.vip, key, observed)
          : attestationOf({ name, address, vip: pool.vip, port: key }, observed.agents, {
              mode: pool.attestation,
              agentTimeoutMs: pool.agentTimeoutMs,
              now: observed.now,
            });
      const isProbed = !isLocal && check !== undefined;
      const finding = check && observed.findings.get(targetKey(targetOf(pool.vip, address, key, check)));
      return [
        name,
        {
          server,
          drain: drainOf(address),
          attestation,
          probe: !isProbed ? undefined : finding ? { ...finding.health, at: finding.at } : { ...unknownHealth, at: 0 },
          servingSince: observed.tenures.get(tenureKey(pool.vip, key, address)),
          headroom: headroom && shareOf(headroom, name, isLocal),
        },
      ];
    }),
  );
}

function shareOf(headroom: Headroom, name: string, isLocal: boolean): Candidate['headroom'] {
  const weight = headroom.weights.get(name);
  return weight === undefined ? undefined : { weight, words: headroomWords(headroom, name, isLocal) };
}

const askedByName: Attestation = {
  verdict: 'unasked',
  silent: false,
  reason: 'clients are sent to it by its name, as long as the front on the director can connect to it',
};

/** By its listener alone: IPVS would balance a connection to the VIP, which so would prove nothing of this host. */
function localAttestation(vip: string, key: string, { listening }: Observed): Attestation {
  const id = serviceId(vip, key);
  if (listening.get(serviceKey(id)) === false)
    return {
      verdict: 'unfit',
      silent: false,
      reason: `the director itself is a real server here (LocalNode), and nothing on it listens on ${key} of ${vip} or of all addresses: start the server there`,
    };
  return { verdict: 'fit', silent: false, reason: 'it is the director itself (LocalNode)' };
}

function overall(pool: Pool, ports: ReadonlyMap<string, PortStandings>): Map<string, Standing> {
  return new Map(
    Object.entries(pool.realServers).map(([name, server]) => {
      const each = [...ports].flatMap(([key, { members }]) => {
        const standing = members.get(name);
        return standing ? [{ key, standing }] : [];
      });
      const worst = [...each].sort((a, b) => rank(a.standing) - rank(b.standing))[0];
      if (!worst)
        return [
          name,
          {
            weight: 0,
            serving: false,
            well: true,
            reason: `no port of this pool is balanced: ${server.address} gets nothing to do`,
          },
        ];
      const same = each.every(({ standing }) => standing.reason === worst.standing.reason);
      return [name, same ? worst.standing : { ...worst.standing, reason: `${worst.key}: ${worst.standing.reason}` }];
    }),
  );
}

const rank = ({ serving, well }: Standing) => (serving ? 2 : 0) + (well ? 1 : 0);

/** The tenures after these standings: since before where it served before, since now where it begins. */
export function nextTenures(pools: Pools, standings: Standings, { tenures, now }: Observed): Map<string, number> {
  const next = new Map<string, number>();
  for (const [name, { ports }] of standings) {
    const pool = pools[name];
    for (const [key, { members }] of ports)
      for (const [rs, standing] of members) {
        const address = pool?.realServers[rs]?.address;
        if (!pool || address === undefined || !standing.serving) continue;
        const at = tenureKey(pool.vip, key, address);
        const since = tenures.get(at) ?? now;
        // The clock may have gone back; who serves is not to begin slowly a second time for that.
        next.set(at, since > now ? 0 : since);
      }
  }
  return next;
}
