import type { BalancedPort, Pool, Pools } from '../../schema.ts';
import { isAddress } from '../address.ts';
import type { PoolStandings, Standings } from '../standings.ts';
import type { PortStandings } from '../weight.ts';
import { homesOf } from './affinity.ts';
import { matchUrl } from './match.ts';
import { type Head, parseHead, type RequestHead } from './request.ts';

export interface Asking {
  method: string;
  /** As a client would have it, such as http://example.com/a.jpg; or a path alone, of every port. */
  url: string;
  /** Of this pool alone. */
  pool?: string | undefined;
}

/** A real server that may answer. */
export interface Answerer {
  realServer: string;
  address: string;
  weight: number;
  /** Of the connections, or of 100 one where one path is one server's. */
  sharePercent: number;
  reason: string;
}

/** Who answers at one port of one pool. */
export interface Explanation {
  pool: string;
  vip: string;
  /** Such as "80/tcp". */
  port: string;
  policy: Pool['ports'][string]['policy'];
  engine: 'edge' | 'handoff' | 'redirect' | null;
  to: 'real-servers' | 'director';
  /** Which rule decided, from 1; null: none, or there are none. */
  rule: number | null;
  why: string;
  /** How it gets there, in words. */
  way: string;
  realServers: Answerer[];
  /** What holds of the whole port at present, in words. */
  notice: string | null;
}

const shape = /^(?:(?<scheme>https?):\/\/(?<authority>[^/?#]*))?(?<rest>(?:[/?].*)?)$/is;

/** What a client would send for it, read as servers read it; undefined: no URL at all. */
function headOf({ method, url }: Asking): { head: Head; port: number | undefined } | undefined {
  const parts = shape.exec(url)?.groups;
  if (!parts || (parts.rest === '' && parts.authority === undefined)) return undefined;
  const { scheme, authority } = parts;
  // A fragment stays with the client.
  const rest = (parts.rest ?? '').split('#')[0] ?? '';
  const target = rest.startsWith('/') ? rest : `/${rest}`;
  const text = `${method} ${target} HTTP/1.${authority === undefined ? 0 : 1}\r\n${authority === undefined ? '' : `Host: ${authority}\r\n`}\r\n`;
  const head = parseHead(new TextEncoder().encode(text));
  const named = /:(\d+)$/.exec(authority ?? '')?.[1];
  const usual = scheme === undefined ? undefined : scheme.toLowerCase() === 'https' ? 443 : 80;
  return { head, port: named === undefined ? usual : Number(named) };
}

/** Who would answer a request at each port that it may come to; or why nobody would, in words. */
export function explain(asking: Asking, pools: Pools, standings: Standings): { refused: string } | Explanation[] {
  const asked = headOf(asking);
  if (!asked) return { refused: 'a URL such as http://example.com/a.jpg, or a path such as /a.jpg' };
  const { head, port: number } = asked;
  if (head.kind !== 'request')
    return {
      refused: `servers refuse such a request${head.kind === 'bad' ? ` with ${head.status}: ${head.reason}` : ''}`,
    };
  const address = head.host?.replace(/^\[|\]$/g, '') ?? '';
  return Object.entries(pools).flatMap(([name, pool]) => {
    if ((asking.pool ?? name) !== name || (isAddress(address) && address !== pool.vip)) return [];
    return Object.entries(pool.ports)
      .filter(([key]) => key.endsWith('/tcp') && (number ?? Number.parseInt(key, 10)) === Number.parseInt(key, 10))
      .map(([key]) => explainPort(name, pool, key, head, standings.get(name)));
  });
}

function explainPort(
  name: string,
  pool: Pool,
  key: string,
  head: RequestHead,
  standings: PoolStandings | undefined,
): Explanation {
  const port = pool.ports[key] as Pool['ports'][string];
  const at = standings?.ports.get(key);
  const about = { pool: name, vip: pool.vip, port: key, policy: port.policy, notice: at?.notice ?? null };
  if (port.policy === 'director')
    return {
      ...about,
      engine: null,
      to: 'director',
      rule: null,
      why: 'the policy of the port is "director"',
      way: "the director's own host answers",
      realServers: [],
    };
  if (port.policy === 'real-servers')
    return {
      ...about,
      engine: null,
      to: 'real-servers',
      rule: null,
      why: 'the policy of the port is "real-servers"',
      way: `the scheduler ${port.scheduler} picks one for each connection; it answers the client itself`,
      realServers: byWeight(pool, at),
    };
  const { to, rule, why } = matchUrl(port, head);
  const isHashed = to === 'real-servers' && port.affinity === 'url-hash';
  const realServers = isHashed ? byHash(pool, at, head.path) : byWeight(pool, at);
  return {
    ...about,
    engine: port.engine,
    to,
    rule: rule === undefined ? null : rule + 1,
    why,
    way: ways[port.engine](to, port, isHashed),
    // With other engines the director reads the URL first.
    realServers: to === 'real-servers' || port.engine === 'edge' ? realServers : [],
  };
}

type UrlPort = Extract<BalancedPort, { policy: 'url' }>;

const ways: Record<UrlPort['engine'], (to: Explanation['to'], port: UrlPort, isHashed: boolean) => string> = {
  edge: (to, { scheduler, edge }) =>
    to === 'real-servers'
      ? `the scheduler ${scheduler} picks a real server for the connection, which answers the client itself from its disk; what it lacks it fetches once from ${edge?.origin}`
      : `the scheduler ${scheduler} picks a real server for the connection, which passes the request on to the director at ${edge?.origin}`,
  handoff: (to, _, isHashed) =>
    to === 'real-servers'
      ? `the director reads the request and hands the connection to ${chosen(isHashed)}, which answers the client itself; where that cannot be, the director answers`
      : "the director's own web server answers",
  redirect: (to, { redirect }, isHashed) =>
    to === 'real-servers'
      ? `the director answers with ${redirect?.code}, which sends the client to the host name of ${chosen(isHashed)}`
      : "the director's own web server answers",
};

const chosen = (isHashed: boolean): string =>
  isHashed ? 'the real server that the path belongs to' : 'a real server, by weight';

function answerers(pool: Pool, at: PortStandings | undefined): Answerer[] {
  return [...(at?.members ?? [])].map(([realServer, { weight, reason }]) => ({
    realServer,
    address: pool.realServers[realServer]?.address ?? '',
    weight,
    sharePercent: 0,
    reason,
  }));
}

function byWeight(pool: Pool, at: PortStandings | undefined): Answerer[] {
  const all = answerers(pool, at);
  const sum = all.reduce((total, { weight }) => total + weight, 0);
  return all
    .map((one) => ({ ...one, sharePercent: sum === 0 ? 0 : Math.round((one.weight / sum) * 1000) / 10 }))
    .sort((a, b) => b.weight - a.weight);
}

/** The home of the path first, then those that take it when that one is gone; the others last. */
function byHash(pool: Pool, at: PortStandings | undefined, path: string): Answerer[] {
  const all = answerers(pool, at);
  const homes = homesOf(path, new Map(all.map(({ realServer, weight }) => [realServer, weight])));
  const place = ({ realServer }: Answerer) => (homes.indexOf(realServer) + all.length + 1) % (all.length + 1);
  return all
    .map((one) => ({ ...one, sharePercent: one.realServer === homes[0] ? 100 : 0 }))
    .sort((a, b) => place(a) - place(b));
}
