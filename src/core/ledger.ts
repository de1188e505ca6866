import type { Desired } from './director.ts';
import { routeKey } from './kernel-state.ts';
import { type Actual, holds, matches } from './plan.ts';
import { emptyLedger, type Ledger } from './state.ts';

/**
 * The ledger to be on disk before the steps towards `desired` are applied: each thing that they will touch, as made when
 * the kernel does not have it yet and as adopted when it does. What is gone from both is forgotten. After a reboot
 * everything is judged anew. The same object when nothing differs.
 */
export function nextLedger(ledger: Ledger, desired: Desired, actual: Actual, boot: string): Ledger {
  const old = ledger.boot === boot ? ledger : emptyLedger(boot);
  const next: Ledger = {
    boot,
    services: { ...old.services },
    addresses: { ...old.addresses },
    sysctls: { ...old.sysctls },
    routes: { ...old.routes },
  };
  let changed = old !== ledger;
  const note = <T>(table: Record<string, T>, key: string, entry: T) => {
    if (Object.hasOwn(table, key)) return;
    table[key] = entry;
    changed = true;
  };
  for (const key of desired.services.keys()) note(next.services, key, originOf(key, actual));
  for (const key of desired.localPorts.keys())
    if (actual.services.has(key)) note(next.services, key, originOf(key, actual));
  const present = new Map(actual.addresses.map((a) => [a.address, a]));
  for (const [address, want] of desired.addresses) {
    const is = present.get(address);
    note(next.addresses, address, {
      origin: is ? 'adopted' : 'made',
      prefix: is?.prefix ?? want.prefix,
      interface: is?.interface ?? want.interface,
    });
  }
  for (const key of desired.sysctls.keys()) {
    const is = actual.sysctls.get(key);
    if (is !== undefined) note(next.sysctls, key, is);
  }
  const routes = new Set(actual.routes.map(routeKey));
  for (const [key, route] of desired.routes) if (!routes.has(key)) note(next.routes, key, route);
  changed = forget(next, desired, actual) || changed;
  return changed ? next : ledger;
}

/** Removes what nobody wants and the kernel no longer has (or has again as it was before). */
function forget(ledger: Ledger, desired: Desired, actual: Actual): boolean {
  let changed = false;
  const drop = (table: Record<string, unknown>, key: string) => {
    delete table[key];
    changed = true;
  };
  for (const [key, owned] of Object.entries(ledger.services)) {
    if (desired.services.has(key) || desired.localPorts.has(key)) continue;
    const is = actual.services.get(key);
    if (owned.origin === 'made' ? !is : is && matches(owned.before, is)) drop(ledger.services, key);
  }
  for (const [address, owned] of Object.entries(ledger.addresses))
    if (
      !desired.addresses.has(address) &&
      !desired.vips.has(address) &&
      (owned.origin === 'adopted' || !holds({ address, ...owned }, actual.addresses))
    )
      drop(ledger.addresses, address);
  const routes = new Set(actual.routes.map(routeKey));
  for (const key of Object.keys(ledger.routes))
    if (!desired.routes.has(key) && !routes.has(key)) drop(ledger.routes, key);
  for (const [key, before] of Object.entries(ledger.sysctls))
    if (!desired.sysctls.has(key) && (actual.sysctls.get(key) ?? before) === before) drop(ledger.sysctls, key);
  return changed;
}

function originOf(key: string, actual: Actual): Ledger['services'][string] {
  const is = actual.services.get(key);
  if (!is) return { origin: 'made' };
  const destinations = is.destinations.map(({ connections: _, ...destination }) => destination);
  return { origin: 'adopted', before: { id: is.id, config: is.config, destinations } };
}

/** What teardown wants: nothing of ours; adopted services and sysctls as they were. */
export function nothingDesired(): Desired {
  return {
    services: new Map(),
    addresses: new Map(),
    vips: new Set(),
    localPorts: new Map(),
    sysctls: new Map(),
    routes: new Map(),
  };
}
