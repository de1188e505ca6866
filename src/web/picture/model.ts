import type { CardRate, TrafficView } from '../../core/traffic.ts';
import type { Pools } from '../../schema.ts';
import type { ServerDetail, Status } from '../live/status.ts';

/** How a real server stands, as one word and one shape. */
export type Stand = 'serving' | 'unwell' | 'out' | 'draining' | 'drained' | 'maintenance' | 'unknown';

export interface Node {
  name: string;
  stand: Stand;
  /** Why, in words; empty where nothing needs saying. */
  words: string;
  card: CardRate | null;
  /** full: the bottleneck; fullest: the one that will be it first. */
  mark: 'full' | 'fullest' | null;
}

export interface Model {
  director: Node;
  servers: Node[];
  traffic: TrafficView;
}

/** Who is in the picture: every real server of the pools, and each that reports a card. */
export function modelOf(status: Status, pools: Pools): Model {
  const { traffic } = status;
  const { bottleneck } = traffic;
  const mark = (host: string) => (bottleneck?.host !== host ? null : bottleneck.full ? 'full' : 'fullest');
  const names = new Set([
    ...Object.keys(status.detail?.realServers ?? {}),
    ...Object.values(pools).flatMap(({ realServers }) => Object.keys(realServers)),
    ...Object.keys(traffic.realServers),
  ]);
  const reasons = new Map(status.unwell.map(({ realServer, reason }) => [realServer ?? '', reason]));
  return {
    director: {
      name: 'director',
      stand: 'serving',
      words: '',
      card: traffic.director,
      mark: mark('director'),
    },
    servers: [...names].sort(byName).map((name) => ({
      name,
      ...standOf(name, status, pools, reasons.get(name)),
      card: (Object.hasOwn(traffic.realServers, name) && traffic.realServers[name]) || null,
      mark: mark(name),
    })),
    traffic,
  };
}

function standOf(
  name: string,
  { detail }: Status,
  pools: Pools,
  unwell: string | undefined,
): Pick<Node, 'stand' | 'words'> {
  const server = detail && Object.hasOwn(detail.realServers, name) ? detail.realServers[name] : undefined;
  if (server) return serverStand(server, unwell);
  const state = Object.values(pools).find(({ realServers }) => Object.hasOwn(realServers, name))?.realServers[name]
    ?.state;
  if (unwell !== undefined) return { stand: 'unwell', words: unwell };
  if (state === 'maintenance') return { stand: 'maintenance', words: '' };
  if (state === 'drain') return { stand: 'drained', words: '' };
  return { stand: state === undefined ? 'unknown' : 'serving', words: '' };
}

/** How a real server of the pool that is looked at stands. */
export function serverStand(
  { serving, reason, desired, drain }: ServerDetail,
  unwell: string | undefined,
): Pick<Node, 'stand' | 'words'> {
  if (desired.state === 'maintenance') return { stand: 'maintenance', words: reason };
  if (desired.state === 'drain') return { stand: drain && !drain.done ? 'draining' : 'drained', words: reason };
  if (serving) return { stand: unwell === undefined ? 'serving' : 'unwell', words: reason };
  return { stand: unwell === undefined ? 'drained' : 'out', words: reason };
}

/** rs2 before rs10. */
const byName = new Intl.Collator('en', { numeric: true }).compare;
