import type { Pool, Pools, Report } from '../../src/schema.ts';
import type { World } from '../fake-kernel.ts';

/**
 * Which weights are right, written down a second time from the README ("A pool", "Checks") and without src/core: what
 * the controller was told and what it answered is all that this knows.
 */
export interface Told {
  pools: Pools;
  /** The last report that was accepted, by agent, and when it was, milliseconds since the epoch. */
  reports: ReadonlyMap<string, { report: Report; at: number }>;
  /** What a check of this port of a real server through this VIP finds. */
  probe(vip: string, address: string, port: number): 'up' | 'soft' | 'hard' | 'unknown';
  /** Nothing can be probed. */
  trouble: boolean;
  /** Whether a program on the director listens. */
  listens(vip: string, port: number, protocol: string): boolean;
  /** Whether something since the last look, or before it, may have let this destination in. */
  mayHaveServed(pool: string, realServer: string, destination: string): boolean;
}

/** either: more than the README says decides, such as what was before, or the moment. */
type Word = 'in' | 'out' | 'soft' | 'either';

type Server = Pool['realServers'][string];

/** What is wrong with the destinations in the kernel, in words; nothing when all is right. */
export function wrongWeights({ services, addresses }: World, told: Told, now: number): string[] {
  const wrong: string[] = [];
  const own = new Set(addresses.map(({ address }) => address));
  const known = new Set<string>();
  for (const [poolName, pool] of Object.entries(told.pools))
    for (const [key, port] of Object.entries(pool.ports)) {
      const service = `${pool.vip.includes(':') ? `[${pool.vip}]` : pool.vip}:${key}`;
      const destinations = services.get(service)?.destinations;
      if (port.policy === 'director') {
        if (destinations) wrong.push(`${service} is a service, and it stays on the director`);
        continue;
      }
      known.add(service);
      if (!destinations) {
        wrong.push(`${service} is no service`);
        continue;
      }
      const words = Object.entries(pool.realServers).map(
        ([name, server]) => [server, wordOf(poolName, name, server, pool, key, service, own, told, now)] as const,
      );
      const nobody = !words.some(([, word]) => word === 'in');
      const isFallback = nobody && pool.fallback !== 'refuse';
      for (const [server, word] of words) {
        const is = destinations.find(({ address }) => address === server.address);
        if (!is && (server.state !== 'active' || word !== 'in')) {
          if (server.state === 'active') wrong.push(`${service} has no destination ${server.address}`);
          continue;
        }
        if (is?.upperThreshold !== (server.upperThreshold ?? 0) || is.lowerThreshold !== (server.lowerThreshold ?? 0))
          wrong.push(`${service} ${server.address} has other thresholds than the pool`);
        if (isFallback && server.state === 'active' && server.weight > 0) continue;
        const whole = is?.weight === server.weight || (pool.slowStartMs > 0 && (is?.weight ?? 0) > 0);
        const isRight = {
          in: whole && (is?.weight ?? 0) <= server.weight,
          out: is?.weight === 0,
          either: is?.weight === 0 || whole,
          soft: is?.weight === 0 || (whole && pool.maxEjectedPercent < 100),
        }[word];
        if (!isRight) wrong.push(`${service} ${server.address} has weight ${is?.weight} of ${server.weight}: ${word}`);
      }
      const soft = words.filter(([, word]) => word === 'soft');
      const ejected = soft.filter(
        ([server]) => destinations.find(({ address }) => address === server.address)?.weight === 0,
      );
      const most = Math.max(1, (words.length * pool.maxEjectedPercent) / 100);
      if (!isFallback && (ejected.length > most || (soft.length > 0 && ejected.length === 0)))
        wrong.push(
          `${service}: of ${soft.length} doubtful failures ${ejected.length} are out, and at most ${most} may be`,
        );
      const members = new Set(Object.values(pool.realServers).map(({ address }) => address));
      for (const { address, weight } of destinations)
        if (weight > 0 && !members.has(address) && !(isFallback && address === pool.vip))
          wrong.push(`${service} ${address} is no member, and has weight ${weight}`);
    }
  for (const key of services.keys()) if (!known.has(key)) wrong.push(`${key} is a service of no pool`);
  return wrong;
}

function wordOf(
  poolName: string,
  name: string,
  server: Server,
  pool: Pool,
  key: string,
  service: string,
  own: ReadonlySet<string>,
  told: Told,
  now: number,
): Word {
  const port = Number.parseInt(key, 10);
  const protocol = key.split('/')[1] ?? '';
  if (server.state !== 'active' || server.weight === 0) return 'out';
  if (own.has(server.address)) return told.listens(pool.vip, port, protocol) ? 'in' : 'out';
  const agent = told.reports.get(name);
  const silence = agent ? silenceOf(now - agent.at, pool.agentTimeoutMs) : 'silent';
  const isFit = agent !== undefined && says(agent.report, server.address, pool.vip, key);
  // Without an agent that speaks the probes alone decide, where the pool says so.
  const isAsked = pool.attestation === 'required' || silence === 'speaks';
  if (isAsked && !isFit) return 'out';
  if (!isFit && silence === 'either') return 'either';
  const probed = probedPort(pool, key);
  if (probed === undefined) return 'in';
  const found = told.probe(pool.vip, server.address, probed);
  if (found === 'hard') return 'out';
  if (found === 'soft') return 'soft';
  if (told.trouble && silence === 'speaks') return 'in';
  if (found === 'up' && !told.trouble) return 'in';
  // What was known before counts: nobody serves who has never been proven.
  // While nothing can be probed it may have been kept in by the fallback, and has served from then on.
  const wasKept = told.trouble && pool.fallback === 'keep';
  const hasServed = wasKept || told.mayHaveServed(poolName, name, `${service} ${server.address}`);
  return hasServed || silence === 'either' ? 'either' : 'out';
}

/** Whether a report says that a host takes what comes to this port of this VIP. */
function says({ addresses, vips, leaving }: Report, address: string, vip: string, key: string): boolean {
  const said = Object.entries(vips).findLast(([name]) => oneSpelling(name) === vip)?.[1];
  const listening = said?.listening && Object.entries(said.listening).find(([port]) => port === key)?.[1];
  return (
    !leaving &&
    addresses.some((one) => oneSpelling(one) === address) &&
    said?.present === true &&
    said.suppressed &&
    !said.unreachable &&
    (listening === undefined || listening === 'vip')
  );
}

function silenceOf(ms: number, timeoutMs: number): 'speaks' | 'silent' | 'either' {
  // A pass may be late by this much.
  if (ms > timeoutMs + 2000) return 'silent';
  return ms < timeoutMs - 500 ? 'speaks' : 'either';
}

function probedPort(pool: Pool, key: string): number | undefined {
  const port = pool.ports[key];
  const ownCheck = port?.policy === 'real-servers' ? port.check : undefined;
  const check = ownCheck ?? pool.check;
  const isUdp = key.endsWith('/udp');
  const fits = ownCheck ?? (!isUdp || check?.port !== undefined || ['udp', 'dns', 'exec'].includes(check?.type ?? ''));
  return fits ? (check?.port ?? Number.parseInt(key, 10)) : undefined;
}

/** IPv6 has many spellings of one address. */
function oneSpelling(address: string): string {
  return address.includes(':') && URL.canParse(`http://[${address}]`)
    ? new URL(`http://[${address}]`).hostname.slice(1, -1)
    : address;
}
