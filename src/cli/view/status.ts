import type { CardRate, TrafficView } from '../../core/traffic.ts';
import type { PoolDetail, RealServerDetail, Status } from './answers.ts';
import { table } from './table.ts';
import { bold, dim, type Line, type Span, styled } from './text.ts';
import { counted, mbitText, percentText } from './units.ts';

/** One look at the controller: the summary, and the pools in full, as many as were asked for. */
export interface Look {
  status: Status;
  details: ReadonlyMap<string, PoolDetail>;
}

/** All of it on one screen. */
export function statusLines(controller: string, { status, details }: Look): Line[] {
  const { counts, problems, pools, unwell, traffic } = status;
  const shown = new Set(details.keys());
  const others = Object.entries(pools).filter(([name]) => !shown.has(name));
  const rest = unwell.filter(({ pool }) => !shown.has(pool));
  return sections([
    [headLine(controller, status), countLine(counts), ...problems.map((problem) => styled('red', problem))],
    traffic ? trafficLines(traffic) : [],
    ...[...details].map(([name, detail]) => poolLines(name, detail, traffic?.realServers)),
    others.length === 0 ? [] : poolTable(others),
    rest.map(({ pool, realServer, reason }) => [
      styled('yellow', realServer ? `${pool}/${realServer}` : pool),
      `  ${reason}`,
    ]),
  ]);
}

/** One pool in full. */
export const poolStatusLines = (controller: string, { status, details }: Look): Line[] =>
  sections([
    [headLine(controller, status), ...status.problems.map((problem) => styled('red', problem))],
    ...[...details].map(([name, detail]) => poolLines(name, detail, status.traffic?.realServers)),
  ]);

/** Sections with an empty line between them. */
const sections = (list: readonly (readonly Line[])[]): Line[] =>
  list.filter((section) => section.length > 0).flatMap((section, i) => (i === 0 ? section : ['', ...section]));

function headLine(controller: string, { storedRevision, reconciledRevision, interface: card }: Status): Line {
  const kernel =
    storedRevision === reconciledRevision
      ? 'in the kernel'
      : styled('yellow', `the kernel has ${reconciledRevision} so far`);
  return [bold(controller), `  ${card}  revision ${storedRevision}, `, kernel];
}

function countLine({ pools, realServers, serving, destinations, draining }: Status['counts']): Line {
  const drains = draining > 0 ? `, ${draining} draining` : '';
  return `${counted(pools, 'pool')}, ${serving} of ${counted(realServers, 'real server')} in service, ${counted(destinations, 'destination')}${drains}`;
}

/** The cards of all hosts, the fullest first, and what they come to. */
export function trafficLines(traffic: TrafficView): Line[] {
  const cards: [string, CardRate][] = [
    ...(traffic.director ? [['director', traffic.director] as [string, CardRate]] : []),
    ...Object.entries(traffic.realServers),
  ];
  return [...(cards.length === 0 ? [] : cardTable(cards)), ...summaryLines(traffic)];
}

const mostMbit = ({ rxMbit, txMbit }: CardRate) => Math.max(rxMbit, txMbit);

export function cardTable(cards: readonly (readonly [string, CardRate])[]): Line[] {
  const sorted = [...cards].sort(([, a], [, b]) => mostMbit(b) - mostMbit(a));
  return table(
    ['CARD OF', 'INTERFACE', '>OUT Mbit/s', '>IN Mbit/s', '>SPEED', '>LOAD', '>LOST/s'],
    sorted.map(([host, card]) => [
      host,
      card.interface,
      mbitText(card.txMbit),
      mbitText(card.rxMbit),
      card.speedMbit === null ? '?' : String(card.speedMbit),
      loadSpan(card.loadPercent),
      card.lostPerSecond > 0 ? styled('red', String(card.lostPerSecond)) : '0',
    ]),
  );
}

function summaryLines({ repliesMbit, requests, directorSharePercent, bottleneck }: TrafficView): Line[] {
  const lines: Line[] = [
    `replies of the real servers: ${mbitText(repliesMbit)} Mbit/s${
      requests
        ? `; requests: ${mbitText(requests.requestsMbit)} Mbit/s, ${counted(requests.connectionsPerSecond, 'new connection')}/s`
        : ''
    }`,
  ];
  if (directorSharePercent !== null)
    lines.push(`the director's card carries ${percentText(directorSharePercent)} of all that leaves`);
  if (bottleneck) {
    const words = `bottleneck: ${bottleneck.host}'s card, ${bottleneck.direction === 'tx' ? 'out' : 'in'}, ${percentText(bottleneck.loadPercent)}`;
    lines.push(bottleneck.full ? styled('red', `${words}: it is full`) : words);
  }
  return lines;
}

export const loadSpan = (percent: number | null): Span =>
  percent === null || percent < 70
    ? percentText(percent)
    : styled(percent < 85 ? 'yellow' : 'red', percentText(percent));

function poolTable(pools: readonly (readonly [string, Status['pools'][string]])[]): Line[] {
  return table(
    ['POOL', 'VIP', '>IN SERVICE', 'STATE'],
    pools.map(([name, { vip, serving, realServers, well }]) => [
      name,
      vip,
      `${serving} of ${realServers}`,
      well ? styled('green', 'well') : styled('yellow', 'not well'),
    ]),
  );
}

function poolLines(name: string, detail: PoolDetail, cards: Record<string, CardRate> = {}): Line[] {
  const { vip, ports, realServers, missing, leaving, capacity } = detail;
  const servers = Object.entries(realServers);
  const serving = servers.filter(([, { serving }]) => serving).length;
  const state = detail.well ? styled('green', 'well') : styled('yellow', 'not well');
  return [
    [bold(name), `  ${vip.address}  ${serving} of ${counted(servers.length, 'real server')} in service  `, state],
    ...[...missing, ...vip.claims.map(({ reason }) => reason)].map((reason): Line => ['  ', styled('red', reason)]),
    ...(missing.length === 0 && !vip.reason.startsWith('on ') ? [`  VIP: ${vip.reason}`] : []),
    ...(capacity ? [`  ${capacity.words}`] : []),
    ...Object.entries(ports).map(([key, port]) => portLine(key, port)),
    ...(servers.length === 0 ? [] : indented(serverTable(servers, cards))),
    ...leaving.map(
      ({ realServer, address, remainingConnections }): Line => [
        '  ',
        dim(`leaving: ${realServer ?? address}, ${counted(remainingConnections, 'connection')} left`),
      ],
    ),
    ...servers.flatMap(([server, { observed }]) =>
      observed.warnings.map((warning): Line => ['  ', styled('yellow', `${server}: ${warning}`)]),
    ),
  ];
}

function portLine(key: string, { desired, reason, traffic }: PoolDetail['ports'][string]): Line {
  const rate = traffic
    ? `, ${counted(traffic.connectionsPerSecond, 'new connection')}/s, requests ${mbitText(traffic.requestsMbit)} Mbit/s`
    : '';
  return `  ${key}  ${desired.policy === 'real-servers' ? (desired.scheduler ?? '') : desired.policy}: ${reason}${rate}`;
}

const indented = (lines: readonly Line[]): Line[] =>
  lines.map((line): Line => ['  ', ...(Array.isArray(line) ? (line as readonly Span[]) : [line as Span])]);

function serverTable(servers: readonly (readonly [string, RealServerDetail])[], cards: Record<string, CardRate>) {
  return table(
    ['REAL SERVER', 'ADDRESS', '>WEIGHT', '>CONNECTIONS', '>OUT Mbit/s', '>LOAD', 'WHY'],
    servers.map(([name, server]) => {
      const card = server.traffic ? server.traffic.card : Object.hasOwn(cards, name) ? cards[name] : undefined;
      return [
        styled(server.serving ? 'green' : server.desired.state === 'active' ? 'red' : 'yellow', name),
        server.address,
        String(server.weight),
        String(connectionsOf(server)),
        card ? mbitText(card.txMbit) : '-',
        card ? loadSpan(card.loadPercent) : '-',
        server.reason,
      ];
    }),
  );
}

/** Connections that the director counts to it, over all ports. */
export const connectionsOf = ({ actual }: Pick<RealServerDetail, 'actual'>): number =>
  Object.values(actual).reduce((sum, is) => sum + is.activeConnections + is.persistentConnections, 0);
