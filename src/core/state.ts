import type { Pool, Pools } from '../schema.ts';
import type { Route, Service } from './kernel-state.ts';
import type { Purges } from './url/purges.ts';

/** One real server on its way out of one pool's services. Kept until the kernel is rid of it and nobody waits for it. */
export interface Drain {
  pool: string;
  /** null: a destination that an adopted service had and no pool names. */
  realServer: string | null;
  vip: string;
  address: string;
  /** Balanced ports of the pool when the drain began, such as "80/tcp". */
  ports: string[];
  /** Milliseconds since the epoch; past it the connections that are left are cut. */
  deadline: number;
  /** How long it was given: the clock may jump, and no drain takes longer. */
  drainMs: number;
  /** No connection left, or past the deadline: the destination goes. */
  done: boolean;
}

/** What this host had before, so that teardown puts exactly that back. */
export interface Ledger {
  /** Kernel's boot id: after a reboot what was made is gone, and what is found is somebody else's. */
  boot: string;
  services: Record<string, { origin: 'made' } | { origin: 'adopted'; before: Service }>;
  addresses: Record<string, { origin: 'made' | 'adopted'; prefix: number; interface: string }>;
  /** Value before ours, by sysctl key. */
  sysctls: Record<string, string>;
  /** Routes that were made here, by {@link routeKey}; those that were there before are left alone. */
  routes: Record<string, Route>;
}

/** All that the controller keeps on disk of what users asked for, and of what it owns in the kernel. */
export interface State {
  /** Counts every change of `pools`, `drains` and `purges`. */
  revision: number;
  pools: Record<string, { revision: number; pool: Pool }>;
  drains: Drain[];
  /** By pool: what of the real servers' caches counts no more. Stays when the pool goes: one of that name may come again. */
  purges: Record<string, Purges>;
  /** Addresses that probes come from; agents are told, so a change counts as a revision. */
  probers: string[];
  ledger: Ledger;
}

export const emptyLedger = (boot: string): Ledger => ({ boot, services: {}, addresses: {}, sysctls: {}, routes: {} });
export const emptyState = (): State => ({
  revision: 0,
  pools: {},
  drains: [],
  purges: {},
  probers: [],
  ledger: emptyLedger(''),
});

export function poolsOf(state: State): Pools {
  return Object.fromEntries(Object.entries(state.pools).map(([name, { pool }]) => [name, pool]));
}
