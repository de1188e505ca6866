import type { ServiceRate } from '../../core/traffic.ts';
import { type Look, trafficLines } from './status.ts';
import { table } from './table.ts';
import type { Line } from './text.ts';
import { mbitText } from './units.ts';

/** Cards and services, those with the most traffic first. */
export function topLines({ status: { traffic, pools }, details }: Look): Line[] {
  if (!traffic) return ['this controller does not tell its traffic: it is older than this dsrctl'];
  const services = [...details].flatMap(([pool, { vip, ports }]) =>
    Object.entries(ports).flatMap(([key, { traffic: rate }]): [string, string, string, ServiceRate][] =>
      rate ? [[pool, vip.address, key, rate]] : [],
    ),
  );
  services.sort(([, , , a], [, , , b]) => b.requestsMbit - a.requestsMbit);
  const cards: Line[] = trafficLines(traffic);
  if (details.size === 0 && Object.keys(pools).length > 0)
    return [...cards, '', 'services are listed while the pools are few'];
  if (services.length === 0) return cards;
  return [
    ...cards,
    '',
    ...table(
      ['POOL', 'VIP', 'PORT', '>REQUESTS Mbit/s', '>PACKETS/s', '>NEW CONNECTIONS/s'],
      services.map(([pool, vip, key, rate]) => [
        pool,
        vip,
        key,
        mbitText(rate.requestsMbit),
        String(rate.packetsPerSecond),
        String(rate.connectionsPerSecond),
      ]),
    ),
  ];
}
