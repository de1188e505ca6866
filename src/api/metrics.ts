import { Counter, collectDefaultMetrics, Gauge, Registry } from 'prom-client';
import { capacityOf, type PoolCapacity } from '../core/capacity/pool.ts';
import { type Connections, serviceId, serviceKey, type Traffic } from '../core/kernel-state.ts';
import { localAddressesOf, missingOf, probesOf, type StatusFacts } from '../core/status.ts';
import type { MeteredCard } from '../core/traffic.ts';
import type { Standing } from '../core/weight.ts';
import type { Api, ApiContext } from './context.ts';
import { factsOf } from './status.ts';

/** GET /metrics in the text format of Prometheus; read from the last pass and the last reports when it is asked for. */
export function metricRoutes(api: Api, context: ApiContext): void {
  const registry = registryOf(context);
  api.get('/metrics', { schema: { summary: 'Figures for Prometheus' } }, async (_, reply) => {
    // The serializer is for JSON.
    reply.type(registry.contentType).serializer((text: string) => text);
    return registry.metrics();
  });
}

type Labels = Record<string, string | number>;
/** One figure: its labels and its value. */
type Figure = readonly [Labels, number];

function registryOf(context: ApiContext): Registry {
  const registry = new Registry();
  collectDefaultMetrics({ register: registry });
  // Gauges by the names of counters, which Prometheus' own checker refuses.
  for (const what of ['handles', 'requests', 'resources']) registry.removeSingleMetric(`nodejs_active_${what}_total`);
  const figures = {
    /** What a thing is now. */
    gauge: (name: string, help: string, labelNames: string[], read: () => Iterable<Figure>) =>
      new Gauge({
        name: `dsr_${name}`,
        help,
        labelNames,
        registers: [registry],
        collect() {
          this.reset();
          for (const [labels, value] of read()) this.set(labels, value);
        },
      }),
    /** What only grows: counted by the kernel, by an agent's kernel or by this process. */
    counter: (name: string, help: string, labelNames: string[], read: () => Iterable<Figure>) =>
      new Counter({
        name: `dsr_${name}_total`,
        help,
        labelNames,
        registers: [registry],
        collect() {
          this.reset();
          for (const [labels, value] of read()) this.inc(labels, value);
        },
      }),
  };
  ofController(context, figures);
  ofPools(context, figures);
  ofCapacity(context, figures);
  ofServices(context, figures);
  ofCards(context, figures);
  return registry;
}

type Define = (name: string, help: string, labelNames: string[], read: () => Iterable<Figure>) => unknown;
type Figures = Record<'gauge' | 'counter', Define>;

function ofController(context: ApiContext, { gauge, counter }: Figures): void {
  const { director, state, events, agents } = context;
  gauge('build_info', 'Version of the controller; always 1.', ['version'], () => [[{ version: context.version }, 1]]);
  gauge('stored_revision', 'Revision of the pools that are stored.', [], () => [[{}, state.get().revision]]);
  gauge('reconciled_revision', 'Revision of the pools that the kernel has.', [], () => [
    [{}, director.last()?.reconciledRevision ?? 0],
  ]);
  gauge('up', 'Whether the last pass over the kernel could be finished.', [], () => [[{}, director.error() ? 0 : 1]]);
  counter('reconcile_passes', 'Passes over the kernel.', [], () => [[{}, director.tally.passes]]);
  counter('reconcile_failed_passes', 'Passes that could not be finished.', [], () => [[{}, director.tally.failed]]);
  counter('reconcile_seconds', 'Time that passes took.', [], () => [[{}, director.tally.seconds]]);
  counter('reconcile_steps', 'Steps applied to the kernel.', [], () => [[{}, director.tally.steps]]);
  counter('reconcile_refused_steps', 'Steps that the kernel refused.', [], () => [[{}, director.tally.refused]]);
  counter('events', 'Events since the start, by type.', ['type'], () =>
    [...events.counts].map(([type, count]) => [{ type }, count] as const),
  );
  gauge('agent_last_report_timestamp_seconds', 'When an agent last reported.', ['agent'], () =>
    [...agents.all()].flatMap(([agent, { lastReport }]) =>
      lastReport === null ? [] : [[{ agent }, lastReport / 1000] as const],
    ),
  );
  gauge('prober_up', 'Whether real servers can be probed.', [], () => [[{}, context.health.problem() ? 0 : 1]]);
}

function ofPools(context: ApiContext, { gauge }: Figures): void {
  const facts = () => factsOf(context);
  const pools = (read: (facts: StatusFacts, name: string) => number) => () => {
    const now = facts();
    return Object.keys(now.state.pools).map((pool) => [{ pool }, read(now, pool)] as const);
  };
  const standingsOf = ({ standings }: StatusFacts, pool: string) => [
    ...(standings.get(pool)?.realServers.values() ?? []),
  ];
  gauge(
    'pool_real_servers',
    'Real servers of a pool.',
    ['pool'],
    pools((now, pool) => standingsOf(now, pool).length),
  );
  gauge('pool_serving_real_servers', 'Real servers of a pool that take new connections.', ['pool'],
    pools((now, pool) => standingsOf(now, pool).filter(({ serving }) => serving).length)); // biome-ignore format: short
  gauge('pool_unwell_real_servers', 'Real servers of a pool that need a look.', ['pool'],
    pools((now, pool) => standingsOf(now, pool).filter(({ well }) => !well).length)); // biome-ignore format: short
  gauge('pool_missing', 'What the kernel lacks of a pool: refused steps, a VIP that is not taken.', ['pool'],
    pools((now, pool) => missingOf(now.state.pools[pool]!.pool, now).length)); // biome-ignore format: short
  gauge('vip_claimants', 'Other hosts that answer ARP or neighbor solicitations for a VIP.', ['vip'], () => {
    const { state, claimants } = facts();
    const vips = new Set(Object.values(state.pools).map(({ pool }) => pool.vip));
    return [...vips].map((vip) => [{ vip }, claimants.filter(({ address }) => address === vip).length] as const);
  });
  const of = ['pool', 'port', 'real_server'];
  gauge('probe_up', 'Whether the checks of a real server through the VIP find it up.', of, () => probes(facts()));
  gauge('real_server_weight', 'Weight of a real server by its checks, its agent and its state.', of, () =>
    members(facts(), ({ weight }) => weight),
  );
}

/** How full the pools are, and when they will be. */
function ofCapacity(context: ApiContext, { gauge }: Figures): void {
  const of = ['pool'];
  const pools = (read: (of: PoolCapacity) => number | null | undefined) =>
    function* (): Generator<Figure> {
      const facts = factsOf(context);
      const known = { ...facts, localAddresses: localAddressesOf(facts) };
      for (const [name, { pool }] of Object.entries(facts.state.pools)) {
        const value = read(capacityOf(name, pool, known));
        if (value !== null && value !== undefined) yield [{ pool: name }, value];
      }
    };
  const bytes = (mbit: number | null | undefined) => (typeof mbit === 'number' ? mbit * 125_000 : null);
  gauge('pool_capacity_bytes', 'What the real servers in service can send, bytes a second.', of,
    pools(({ capacityMbit }) => bytes(capacityMbit))); // biome-ignore format: short
  gauge('pool_carried_bytes', 'What they send now, bytes a second.', of,
    pools(({ carriedMbit }) => bytes(carriedMbit))); // biome-ignore format: short
  gauge('pool_peak_bytes', 'What they sent in the busiest minute of the last seven days, bytes a second.', of,
    pools(({ peak }) => bytes(peak?.mbit))); // biome-ignore format: short
  gauge('pool_capacity_without_largest_bytes', 'What is left when the one that carries most is lost, bytes a second.', of,
    pools(({ withoutLargest }) => bytes(withoutLargest?.capacityMbit))); // biome-ignore format: short
  gauge('pool_days_until_full', 'Days until a busy day fills the pool, at the present growth; left out while none is known.', of,
    pools(({ forecast }) => forecast.fullInDays)); // biome-ignore format: short
}

function* probes(facts: StatusFacts): Generator<Figure> {
  for (const [pool, { pool: entry }] of Object.entries(facts.state.pools))
    for (const [real_server, { address }] of Object.entries(entry.realServers))
      for (const [port, { verdict }] of Object.entries(probesOf(entry, address, facts)))
        if (verdict !== 'unknown') yield [{ pool, port, real_server }, verdict === 'up' ? 1 : 0];
}

function* members(facts: StatusFacts, read: (standing: Standing) => number): Generator<Figure> {
  for (const [pool, { ports }] of facts.standings)
    for (const [port, { members }] of ports)
      for (const [name, standing] of members) yield [{ pool, port, real_server: name }, read(standing)];
}

/** Of services and destinations that the pools name, as the kernel counts them; the director sees the requests only. */
function ofServices(context: ApiContext, { gauge, counter }: Figures): void {
  const services = function* (read: (traffic: Traffic) => number): Generator<Figure> {
    const { services } = context.traffic.counters();
    for (const [
      pool,
      {
        pool: { vip, ports },
      },
    ] of Object.entries(context.state.get().pools)) // biome-ignore format: short
      for (const port of Object.keys(ports)) {
        const found = services.get(serviceKey(serviceId(vip, port)));
        if (found) yield [{ pool, vip, port }, read(found.traffic)];
      }
  };
  const of = ['pool', 'vip', 'port'];
  counter('service_connections', 'Connections that a service took.', of, () => services((is) => is.connections));
  counter('service_incoming_packets', 'Packets of requests.', of, () => services((is) => is.packetsIn));
  counter('service_incoming_bytes', 'Bytes of requests.', of, () => services((is) => is.bytesIn));

  const destinations = function* (read: (connections: Connections) => number): Generator<Figure> {
    const { services, state } = factsOf(context);
    for (const [
      pool,
      {
        pool: { vip, ports, realServers },
      },
    ] of Object.entries(state.pools)) {
      // biome-ignore format: short
      const names = new Map(Object.entries(realServers).map(([name, { address }]) => [address, name]));
      for (const port of Object.keys(ports))
        for (const { address, connections } of services.get(serviceKey(serviceId(vip, port)))?.destinations ?? []) {
          const name = names.get(address);
          if (name !== undefined) yield [{ pool, port, real_server: name }, read(connections)];
        }
    }
  };
  const to = ['pool', 'port', 'real_server'];
  gauge('destination_active_connections', 'Established connections to a real server, as the director counts them.', to,
    () => destinations(({ active }) => active)); // biome-ignore format: short
  gauge('destination_inactive_connections', 'Connections to a real server that are closing, as the director counts them.', to,
    () => destinations(({ inactive }) => inactive)); // biome-ignore format: short
}

/** Of the director's card, and of the real servers' cards by their agents' word. */
function ofCards(context: ApiContext, { gauge, counter }: Figures): void {
  const cards = function* (read: (card: MeteredCard) => number | null): Generator<Figure> {
    const { director, realServers } = context.traffic.counters();
    for (const [host, card] of [...(director ? [['director', director] as const] : []), ...realServers]) {
      const value = read(card);
      if (value !== null) yield [{ host, device: card.interface }, value];
    }
  };
  const of = ['host', 'device'];
  counter('card_receive_bytes', 'Bytes that came in by a card.', of, () => cards((card) => card.rxBytes));
  counter('card_transmit_bytes', 'Bytes that left by a card.', of, () => cards((card) => card.txBytes));
  counter('card_receive_packets', 'Packets that came in by a card.', of, () => cards((card) => card.rxPackets));
  counter('card_transmit_packets', 'Packets that left by a card.', of, () => cards((card) => card.txPackets));
  counter('card_lost_packets', 'Packets with errors and packets dropped by a card.', of, () =>
    cards((card) => card.rxLost + card.txLost),
  );
  gauge('card_speed_bytes', 'Speed of a card in each direction, bytes a second.', of, () =>
    cards(({ speedMbit }) => (speedMbit === null ? null : speedMbit * 125_000)),
  );
}
