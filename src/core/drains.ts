import type { Desired } from './director.ts';
import type { Address, Connections, Services } from './kernel-state.ts';
import { serviceId, serviceKey } from './kernel-state.ts';
import { holds } from './plan.ts';
import { drainKey, memberOf } from './pools.ts';
import { type Drain, type Ledger, poolsOf, type State } from './state.ts';

/** No connection for this long counts as none left: a handshake that was under way when the weight fell has then ended. */
const idleMs = 3000;

/** What the runner remembers of a drain between passes, on a clock that never jumps. */
export interface DrainWatch {
  deadline: number;
  cutAt: number;
  idleSince: number | undefined;
}

export interface Clocks {
  /** Milliseconds since the epoch. */
  wall: number;
  /** Milliseconds that only grow. */
  steady: number;
}

/**
 * The drains after a look at the kernel: done when no connection is left or the deadline passed, forgotten when the real
 * server has left its pool and the director has neither destination nor needless VIP any more. The same array when
 * nothing changed. `watches` is kept up to date.
 */
export function advanceDrains(
  state: State,
  services: Services,
  addresses: readonly Address[],
  watches: Map<string, DrainWatch>,
  now: Clocks,
): Drain[] {
  const pools = poolsOf(state);
  const vips = new Set(Object.values(pools).map((pool) => pool.vip));
  const taken = new Set<string>();
  for (const pool of Object.values(pools))
    for (const port of Object.keys(pool.ports))
      for (const { address, state: admin } of Object.values(pool.realServers))
        if (admin === 'active') taken.add(`${pool.vip} ${port} ${address}`);
  const live = new Set(state.drains.map((d) => drainKey(d.pool, d.vip, d.address)));
  for (const key of watches.keys()) if (!live.has(key)) watches.delete(key);
  let changed = false;
  const next: Drain[] = [];
  for (const drain of state.drains) {
    const key = drainKey(drain.pool, drain.vip, drain.address);
    if (!drain.done) {
      const done = isDone(drain, connectionsOf(drain, services), watches, key, now);
      changed ||= done;
      next.push(done ? { ...drain, done } : drain);
      continue;
    }
    watches.delete(key);
    const inKernel = drain.ports.some(
      (port) => !taken.has(`${drain.vip} ${port} ${drain.address}`) && destinationOf(drain, port, services),
    );
    const own = state.ledger.addresses[drain.vip];
    const vipLeaves =
      !vips.has(drain.vip) && own?.origin === 'made' && holds({ ...own, address: drain.vip }, addresses);
    if (memberOf(pools, drain) || inKernel || vipLeaves) next.push(drain);
    else changed = true;
  }
  return changed ? next : state.drains;
}

function isDone(drain: Drain, left: Connections, watches: Map<string, DrainWatch>, key: string, now: Clocks): boolean {
  let watch = watches.get(key);
  if (watch?.deadline !== drain.deadline) {
    const remaining = Math.min(Math.max(drain.deadline - now.wall, 0), drain.drainMs);
    watch = { deadline: drain.deadline, cutAt: now.steady + remaining, idleSince: undefined };
    watches.set(key, watch);
  }
  if (now.steady >= watch.cutAt) return true;
  if (remainingOf(drain, left) > 0) {
    watch.idleSince = undefined;
    return false;
  }
  watch.idleSince ??= now.steady;
  return now.steady - watch.idleSince >= idleMs;
}

/** Connections that a drain waits for. UDP ones never count as active in IPVS (ip_vs_conn.c, ip_vs_bind_dest). */
export function remainingOf(drain: Drain, left: Connections): number {
  const udp = drain.ports.some((port) => port.endsWith('/udp'));
  return left.active + left.persistent + (udp ? left.inactive : 0);
}

/** Connections of a drain's real server, over all its ports. */
export function connectionsOf(drain: Drain, services: Services): Connections {
  const sum = { active: 0, inactive: 0, persistent: 0 };
  for (const port of drain.ports) {
    const is = destinationOf(drain, port, services);
    if (!is) continue;
    sum.active += is.connections.active;
    sum.inactive += is.connections.inactive;
    sum.persistent += is.connections.persistent;
  }
  return sum;
}

function destinationOf(drain: Drain, port: string, services: Services) {
  const id = serviceId(drain.vip, port);
  return services.get(serviceKey(id))?.destinations.find((d) => d.address === drain.address && d.port === id.port);
}

/**
 * Drains for the destinations that newly adopted services have and no pool names: they keep their connections for a
 * while, like a real server that was removed.
 */
export function straysOf(
  before: Ledger,
  after: Ledger,
  desired: Desired,
  state: State,
  limit: { deadline: number; drainMs: number },
): Drain[] {
  const strays = new Map<string, Drain>();
  for (const [key, owned] of Object.entries(after.services)) {
    const wanted = desired.services.get(key);
    if (owned.origin === 'made' || !wanted || Object.hasOwn(before.services, key)) continue;
    const { vip, port, protocol } = wanted.id;
    const pool = Object.entries(state.pools).find(
      ([, p]) => p.pool.vip === vip && p.pool.ports[`${port}/${protocol}`],
    )?.[0];
    if (pool === undefined) continue;
    const named = new Set(wanted.destinations.map(({ address }) => address));
    for (const { address, port: at } of owned.before.destinations) {
      if (named.has(address) || at !== port) continue;
      const known = strays.get(drainKey(pool, vip, address));
      const ports = [...(known?.ports ?? []), `${port}/${protocol}`];
      strays.set(drainKey(pool, vip, address), { pool, realServer: null, vip, address, ports, ...limit, done: false });
    }
  }
  return [...strays.values()];
}
