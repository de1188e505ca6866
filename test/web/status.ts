import { briefOf, capacityOf } from '../../src/core/capacity/pool.ts';
import type { Bottleneck } from '../../src/core/traffic.ts';
import { poolsSchema } from '../../src/schema.ts';
import type { Status } from '../../src/web/live/status.ts';

/** Nothing is known of it. */
const capacity = capacityOf(
  'web',
  poolsSchema.parse({ web: { vip: '192.0.2.100', ports: { '80/tcp': { policy: 'real-servers' } } } }).web!,
  {
    standings: new Map(),
    localAddresses: new Set(),
    capacity: { cards: new Map(), pasts: new Map() },
  },
);

interface Wanted {
  realServers: Record<
    string,
    {
      serving?: boolean;
      state?: 'active' | 'drain' | 'maintenance';
      unwell?: string;
      drain?: { done: boolean };
      connections?: number;
    }
  >;
  bottleneck?: Bottleneck | null;
  problems?: string[];
}

/** A status of one pool, "web", with real servers as a test wants them. */
export function statusOf({ realServers, bottleneck = null, problems = [] }: Wanted): Status {
  const names = Object.keys(realServers);
  const unwell = Object.entries(realServers).flatMap(([realServer, { unwell: reason }]) =>
    reason === undefined ? [] : [{ pool: 'web', realServer, reason }],
  );
  return {
    storedRevision: 1,
    reconciledRevision: 1,
    problems,
    counts: { pools: 1, realServers: names.length, serving: 0, services: 1, destinations: names.length, draining: 0 },
    pools: {
      web: {
        vip: '192.0.2.100',
        revision: 1,
        well: true,
        serving: 0,
        realServers: names.length,
        missing: [],
        capacity: briefOf(capacity),
      },
    },
    unwell,
    traffic: {
      director: null,
      realServers: {},
      requests: null,
      repliesMbit: 0,
      directorSharePercent: null,
      bottleneck,
    },
    detail: {
      revision: 1,
      well: true,
      missing: [],
      balance: 'weights',
      capacity,
      vip: { address: '192.0.2.100', desired: true, actual: true, interface: 'eth0', reason: 'on eth0', claims: [] },
      ports: {},
      realServers: Object.fromEntries(
        Object.entries(realServers).map(
          ([name, { serving = true, state = 'active', unwell, drain, connections = 0 }]) => [
            name,
            {
              address: '192.0.2.11',
              weight: serving ? 100 : 0,
              serving,
              reason: unwell ?? 'in service',
              desired: { weight: 100, state },
              observed: { agent: null, vip: null, probes: {}, warnings: [] },
              ports: {},
              actual: {
                '80/tcp': {
                  weight: 100,
                  activeConnections: connections,
                  inactiveConnections: 5,
                  persistentConnections: 0,
                },
              },
              traffic: { card: null, connections: {} },
              ...(drain && { drain: { ...drain, remainingConnections: 3, deadline: '2030-01-01T00:00:00.000Z' } }),
            },
          ],
        ),
      ),
      leaving: [],
    },
  };
}
