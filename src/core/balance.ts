import type { Pool, Pools } from '../schema.ts';
import { type Headroom, type HeadroomCard, type HeadroomMember, nextHeadroom, settleMs } from './headroom.ts';
import { type Services, serviceId, serviceKey } from './kernel-state.ts';
import { balancedPorts } from './pools.ts';
import { type Standings, tenureKey } from './standings.ts';

/** What the weights of pools with balance "headroom" go by. */
export interface BalanceFacts {
  /** By real server. */
  cards: ReadonlyMap<string, HeadroomCard>;
  /** Of cards as they were last known, by real server, Mbit/s. */
  speeds: ReadonlyMap<string, number>;
  /** The director's own: of real servers that are the director itself (LocalNode). */
  ownCard: HeadroomCard | undefined;
  localAddresses: ReadonlySet<string>;
  services: Services;
  /** Since when a real server takes connections at a port, milliseconds since the epoch, by {@link tenureKey}. */
  tenures: ReadonlyMap<string, number>;
  /** As the last look found them. */
  standings: Standings | undefined;
  /** Milliseconds since the epoch. */
  now: number;
  /** The same moment by a clock that only grows. */
  steadyNow: number;
}

/** By pool, of those with balance "headroom". */
export type Balances = ReadonlyMap<string, Headroom>;

export function nextBalances(before: Balances, pools: Pools, facts: BalanceFacts): Balances {
  const next = new Map<string, Headroom>();
  for (const [name, pool] of Object.entries(pools))
    if (pool.balance === 'headroom')
      next.set(name, nextHeadroom(before.get(name), membersOf(name, pool, facts), facts.steadyNow));
  return next;
}

function membersOf(poolName: string, pool: Pool, facts: BalanceFacts): Map<string, HeadroomMember> {
  const keys = balancedPorts(pool);
  const services = keys.flatMap((key) => facts.services.get(serviceKey(serviceId(pool.vip, key))) ?? []);
  const ports = [...(facts.standings?.get(poolName)?.ports.values() ?? [])];
  const members = new Map<string, HeadroomMember>();
  for (const [name, { address, weight }] of Object.entries(pool.realServers)) {
    if (weight === 0) continue;
    const since = keys.map((key) => facts.tenures.get(tenureKey(pool.vip, key, address)));
    const entries = services.flatMap(({ destinations }) => destinations.filter((one) => one.address === address));
    const isLocal = facts.localAddresses.has(address);
    const hasSettled = since.some((at) => at !== undefined && facts.now - at >= Math.max(settleMs, pool.slowStartMs));
    members.set(name, {
      weight,
      // Who fails and is held in has an idle card for another reason than that there is room.
      isSteady: hasSettled && !ports.some((port) => port.members.get(name)?.isHeldIn),
      card: isLocal ? facts.ownCard : facts.cards.get(name),
      lastSpeedMbit: isLocal ? undefined : facts.speeds.get(name),
      kernelWeight: Math.max(0, ...entries.map((entry) => entry.weight)),
    });
  }
  return members;
}
