import { performance } from 'node:perf_hooks';
import type { Test } from 'tap';
import type { Report } from '../../src/schema.ts';
import { type Controller, type ControllerOptions, fitReport, startController } from '../api/site.ts';

type Card = NonNullable<Report['card']>;

/** What goes through the card of a host, Mbit/s. */
export interface Rates {
  rx: number;
  tx: number;
}

/** A site that the dashboard looks at: the real API on a fake kernel, with traffic that the test decides. */
export interface Site {
  controller: Controller;
  url: string;
  /** By real server. One that is taken out reports no more. */
  rates: Map<string, Rates>;
  director: Rates;
  /** All agents report now. */
  report(): void;
}

export const vip = '192.0.2.100';

const addressOf = (i: number) => (i < 80 ? `192.0.2.${i + 11}` : `198.51.100.${i - 79}`);

/** A pool of this many real servers. */
export const poolOf = (count: number) => ({
  vip,
  ports: { '80/tcp': { policy: 'real-servers', scheduler: 'wlc' }, '8080/tcp': { policy: 'director' } },
  realServers: Object.fromEntries(
    Array.from({ length: count }, (_, i) => [`rs${i + 1}`, { address: addressOf(i), weight: 100 }]),
  ),
});

const bytesOf = (mbit: number, ms: number) => Math.round((mbit * 1e6 * ms) / 8 / 1000);

/** Starts it with a pool "web" of so many real servers, all fit; without a pool when it is none. @param headers of who makes it */
export async function startSite(
  t: Test,
  servers: number,
  options: ControllerOptions = {},
  headers = {},
): Promise<Site> {
  const controller = await startController(t, options);
  const pool = poolOf(servers);
  const site: Site = {
    controller,
    url: '',
    rates: new Map(Object.keys(pool.realServers).map((name) => [name, { rx: 0, tx: 0 }])),
    director: { rx: 0, tx: 0 },
    report: () => {},
  };
  directorCounts(site);
  const cards = new Map<string, Card>();
  site.report = () => {
    for (const [name, rates] of site.rates) {
      const address = pool.realServers[name]?.address ?? '';
      const card = counted(cards.get(name), rates);
      cards.set(name, card);
      const report = fitReport(name, address, [vip], { card });
      controller.agents.report(name, report);
      controller.traffic.take(name, report);
    }
  };
  const timer = setInterval(site.report, 1000);
  t.teardown(() => clearInterval(timer));
  site.report();
  const put = `/v1/pools/web?waitMs=5000`;
  if (servers > 0) await controller.call('PUT', put, pool, headers);
  site.url = await controller.listen();
  return site;
}

/** The card of a real server a second later, by its own clock. */
function counted(before: Card | undefined, { rx, tx }: Rates): Card {
  return {
    interface: 'eth0',
    mac: '02:00:00:00:00:02',
    speedMbit: 100,
    rxBytes: (before?.rxBytes ?? 0) + bytesOf(rx, 1000),
    txBytes: (before?.txBytes ?? 0) + bytesOf(tx, 1000),
    rxPackets: 0,
    txPackets: 0,
    rxLost: 0,
    txLost: 0,
    at: (before?.at ?? 0) + 1000,
  };
}

/** The director's own kernel counts as time passes. */
function directorCounts({ controller: { kernel }, director }: Site): void {
  const { card, serviceConfigs } = kernel;
  let [rxBytes, txBytes, last] = [0, 0, performance.now()];
  const count = () => {
    const now = performance.now();
    rxBytes += bytesOf(director.rx, now - last);
    txBytes += bytesOf(director.tx, now - last);
    last = now;
  };
  kernel.listeners = () => new Map([[8080, 'wildcard' as const]]);
  kernel.card = (name) => {
    count();
    const own = card(name);
    return own && { ...own, rxBytes, txBytes };
  };
  kernel.serviceConfigs = async () => {
    count();
    const services = await serviceConfigs();
    for (const { traffic } of services.values())
      Object.assign(traffic, {
        bytesIn: rxBytes,
        packetsIn: Math.floor(rxBytes / 500),
        connections: Math.floor(rxBytes / 5000),
      });
    return services;
  };
}

/** Sets how many connections the kernel counts as established to a real server. */
export function connect({ controller }: Site, name: string, active: number): void {
  const address = controller.state.get().pools.web?.pool.realServers[name]?.address;
  controller.kernel.disturb((world) => {
    for (const { destinations } of world.services.values())
      for (const destination of destinations)
        if (destination.address === address) destination.connections.active = active;
  });
}
