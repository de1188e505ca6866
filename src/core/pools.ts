import { isDeepStrictEqual } from 'node:util';
import { isBalanced, isRedirected, type Pool, type Pools, type RealServer } from '../schema.ts';
import { withPort } from './address.ts';
import type { Drain, State } from './state.ts';
import { poolsOf } from './state.ts';

export const defaultDrainMs = 30_000;

/** A rule between pools that a document breaks. */
export interface Conflict {
  path: string;
  message: string;
}

/** What pools may not share: a (VIP, port, protocol), a name with two addresses of one family, a VIP that is a real server. */
export function conflictsIn(pools: Pools): Conflict[] {
  const conflicts: Conflict[] = [];
  const services = new Map<string, string>();
  const addresses = new Map<string, { address: string; pool: string }>();
  const vips = new Map(Object.entries(pools).map(([name, pool]) => [pool.vip, name]));
  for (const [name, pool] of Object.entries(pools)) {
    for (const port of Object.keys(pool.ports)) {
      const key = `${pool.vip} ${port}`;
      const other = services.get(key);
      if (other) conflicts.push({ path: `pools.${name}.ports.${port}`, message: taken(pool.vip, port, other) });
      else services.set(key, name);
    }
    for (const [rs, { address }] of Object.entries(pool.realServers)) {
      const path = `pools.${name}.realServers.${rs}.address`;
      const known = addresses.get(`${rs} ${pool.vip.includes(':')}`);
      if (known && known.address !== address)
        conflicts.push({
          path,
          message: `"${rs}" is one host, and pool "${known.pool}" says that its address is ${known.address}; use that, or another name`,
        });
      else addresses.set(`${rs} ${pool.vip.includes(':')}`, { address, pool: name });
      const vipOf = vips.get(address);
      if (vipOf && vipOf !== name)
        conflicts.push({
          path,
          message: `${address} is the VIP of pool "${vipOf}"; give the real server's own address`,
        });
    }
  }
  return conflicts;
}

function taken(vip: string, port: string, pool: string): string {
  return `${withPort(vip, Number.parseInt(port, 10))}/${port.split('/')[1]} belongs to pool "${pool}"; take another port or VIP, or change that pool`;
}

/** JSON merge patch (RFC 7396): null removes a member, objects are merged, everything else replaces. */
export function mergePatch(target: unknown, patch: unknown): unknown {
  if (!isObject(patch)) return patch;
  const result: Record<string, unknown> = isObject(target) ? { ...target } : {};
  for (const [key, value] of Object.entries(patch)) {
    if (value === null) delete result[key];
    else if (key !== '__proto__') result[key] = mergePatch(Object.hasOwn(result, key) ? result[key] : undefined, value);
  }
  return result;
}

const isObject = (value: unknown): value is Record<string, unknown> =>
  typeof value === 'object' && value !== null && !Array.isArray(value);

/**
 * The state after users' pools became `next`: revisions counted, drains begun for every real server that left or was
 * set to drain or maintenance, and cancelled for those that are active. The same state when nothing differs.
 *
 * @param now milliseconds since the epoch
 * @param drainMs how long those that leave may keep their connections
 */
export function replacePools(state: State, next: Pools, now: number, drainMs = defaultDrainMs): State {
  const before = poolsOf(state);
  if (isDeepStrictEqual(before, next)) return state;
  const revision = state.revision + 1;
  const pools: State['pools'] = {};
  for (const [name, pool] of Object.entries(next)) {
    const old = state.pools[name];
    pools[name] = old && isDeepStrictEqual(old.pool, pool) ? old : { revision, pool };
  }
  return {
    ...state,
    revision,
    pools,
    drains: drainsAfter(state.drains, before, next, { deadline: now + drainMs, drainMs }),
  };
}

function drainsAfter(
  drains: Drain[],
  before: Pools,
  next: Pools,
  limit: { deadline: number; drainMs: number },
): Drain[] {
  const result = new Map(drains.map((drain) => [drainKey(drain.pool, drain.vip, drain.address), drain]));
  for (const [name, pool] of Object.entries(before)) {
    const after = next[name];
    const moved = after?.vip !== pool.vip;
    for (const [rs, server] of Object.entries(pool.realServers)) {
      const stays = !moved && after.realServers[rs]?.address === server.address;
      if (stays) continue;
      const key = drainKey(name, pool.vip, server.address);
      const known = result.get(key);
      result.set(key, {
        pool: name,
        realServer: rs,
        vip: pool.vip,
        address: server.address,
        ports: balancedPorts(pool),
        ...(known && known.deadline < limit.deadline ? { deadline: known.deadline, drainMs: known.drainMs } : limit),
        done: moved || (known?.done ?? false),
      });
    }
  }
  for (const [name, pool] of Object.entries(next))
    for (const [rs, server] of Object.entries(pool.realServers)) {
      const key = drainKey(name, pool.vip, server.address);
      if (server.state === 'active') {
        result.delete(key);
        continue;
      }
      const old = before[name];
      const wasHere = old?.vip === pool.vip ? old.realServers[rs] : undefined;
      const wasActive = wasHere?.address === server.address && wasHere.state === 'active';
      const known = result.get(key);
      if (known) result.set(key, { ...known, realServer: rs });
      else
        result.set(key, {
          pool: name,
          realServer: rs,
          vip: pool.vip,
          address: server.address,
          ports: balancedPorts(pool),
          ...limit,
          done: !wasActive,
        });
    }
  return [...result.values()];
}

export const drainKey = (pool: string, vip: string, address: string): string => `${pool} ${vip} ${address}`;

/** At which real servers answer for the VIP. */
export function balancedPorts(pool: Pool): string[] {
  return Object.entries(pool.ports)
    .filter(([, port]) => isBalanced(port) && !isRedirected(port))
    .map(([key]) => key);
}

/** The member that a drain is about, if the pool still has it: then it is drained but stays a member. */
export function memberOf(pools: Pools, drain: Drain): RealServer | undefined {
  const pool = pools[drain.pool];
  if (pool?.vip !== drain.vip || drain.realServer === null) return undefined;
  const member = pool.realServers[drain.realServer];
  return member?.address === drain.address ? member : undefined;
}
