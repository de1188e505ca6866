import type { FastifyReply, FastifyRequest } from 'fastify';
import { type Access, type Caller, refusalOf } from '../core/access.ts';
import { familyOf, isAddress, toBytes } from '../core/address.ts';
import { type Bucket, type Rate, taken } from '../core/rate.ts';
import { catalogue, RequestError } from '../errors.ts';
import type { Audit, AuditEntry } from '../store/audit.ts';
import type { Trust } from '../trust/trust.ts';
import type { Api } from './context.ts';

declare module 'fastify' {
  interface FastifyRequest {
    caller: Caller;
  }
  interface FastifyContextConfig {
    /** Who may; default: `view` for GET and HEAD, `change` for all else. */
    access?: Access;
    /** It goes on for long. */
    stream?: true;
  }
}

/** Of refusals to one address, before they are no longer told in full. */
const refusals: Rate = { perSecond: 1, burst: 30 };
/** Of requests with one token; an agent reports once a second, and polls. */
const requests: Rate = { perSecond: 200, burst: 1000 };
const agentsRequests: Rate = { perSecond: 10, burst: 100 };
/** Of requests without a token to what is open to everybody, from one address. */
const strangersRequests: Rate = { perSecond: 20, burst: 100 };
/** Streams and long polls with one token. */
const mostStreams = 64;
/** Addresses and tokens that are counted; those that were quiet longest are forgotten. */
const mostBuckets = 10_000;

/**
 * Lets nobody in who may not: each request has its caller before its body is read.
 *
 * @param trust undefined: everybody is trusted
 */
export function guard(api: Api, trust: Trust | undefined): void {
  api.decorateRequest('caller');
  const refused = limiter(refusals);
  const asked = { key: limiter(requests), agent: limiter(agentsRequests), nobody: limiter(strangersRequests) };
  const told = quietly(trust?.refused);
  const streams = new Map<string, Set<FastifyReply>>();
  // What goes on for long ends with its token.
  const looking = setInterval(() => {
    for (const [id, replies] of streams) if (!trust?.keys.isGood(id)) for (const { raw } of replies) raw.destroy();
  }, 1000).unref();
  api.addHook('onClose', async () => clearInterval(looking));

  api.addHook('onRequest', async (request, reply) => {
    const { caller, why } = callerOf(request, trust);
    request.caller = caller;
    const from = networkOf(request.ip);
    if (caller.kind === 'key' && !asked[caller.role === 'agent' ? 'agent' : 'key'](caller.id))
      throw tooMany('with this token');
    if (caller.kind === 'nobody' && !asked.nobody(from)) throw tooMany('from this address');
    const { access, stream } = request.routeOptions.config;
    const wanted = access ?? (['GET', 'HEAD'].includes(request.method) ? 'view' : 'change');
    const refusal = refusalOf(caller, wanted, (request.params as { name?: string } | undefined)?.name);
    if (refusal !== undefined) {
      if (!refused(from)) throw tooMany('that are refused, from this address');
      const reason = caller.kind === 'nobody' ? why : refusal;
      const code = caller.kind === 'nobody' ? 'UNAUTHENTICATED' : 'FORBIDDEN';
      const { status } = catalogue[code];
      told({ ...actOf(request), status, reason });
      if (caller.kind === 'nobody') reply.header('www-authenticate', 'Bearer');
      // Nobody reads what else it sends.
      reply.header('connection', 'close');
      throw new RequestError(code, reason);
    }
    if (caller.kind === 'key' && stream) hold(streams, caller.id, reply);
  });

  // A body may come long after the head: what was revoked meanwhile does nothing any more.
  api.addHook('preHandler', async ({ caller }) => {
    if (caller.kind === 'key' && !trust?.keys.isGood(caller.id))
      throw new RequestError('UNAUTHENTICATED', 'this token was revoked, or has expired, just now');
  });

  api.addHook('onError', async (request, _, { code, message }) => {
    if (code === 'AGENT_OTHER_MACHINE') told({ ...actOf(request), status: 409, reason: message });
  });
}

/** Writes refusals down; one that comes again and again only now and then, and never so many that a disk is filled. */
function quietly(refused: Audit | undefined): (entry: Omit<AuditEntry, 'time'>) => void {
  const isNews = limiter({ perSecond: 1 / 600, burst: 1 });
  const all = limiter({ perSecond: 2, burst: 200 });
  return (entry) => {
    const { who, from, what, status } = entry;
    if (refused && isNews(JSON.stringify([who, from, what, status])) && all('')) refused.add(entry);
  };
}

/** What stands for an address where many of them are one host's: the /64 of IPv6 (RFC 4291, 2.5.4). */
function networkOf(ip: string | undefined): string {
  if (ip === undefined || !isAddress(ip) || familyOf(ip) === 'ipv4') return ip ?? '';
  return Buffer.from(toBytes(ip).slice(0, 8)).toString('hex');
}

/** Who did what from where, for the audit log. No token is in it, wherever it stood. */
export function actOf({ caller, ip, method, url, raw }: FastifyRequest): Pick<AuditEntry, 'who' | 'from' | 'what'> {
  const who =
    caller.kind === 'key'
      ? `${caller.role} ${caller.name} (token ${caller.id})`
      : caller.kind === 'root'
        ? 'root'
        : caller.kind;
  const path = url.split('?')[0]?.replace(/(dsr_[0-9a-f]{16})_[\w-]+/g, '$1_…') ?? '';
  const from = raw.socket.remoteAddress === undefined ? null : ip;
  return { who, from, what: `${method} ${path.slice(0, 200)}` };
}

/** Throws AGENT_OTHER_MACHINE when an agent's token comes from another machine than it was given to. */
export function refuseOtherMachine(caller: Caller, machineId: string): void {
  if (caller.kind === 'key' && caller.machineId !== machineId)
    throw new RequestError(
      'AGENT_OTHER_MACHINE',
      `this token was given to another machine: a copy of a disk needs an invitation of its own (dsrctl agent invite ${caller.name})`,
    );
}

function callerOf({ headers, raw }: FastifyRequest, trust: Trust | undefined): { caller: Caller; why: string } {
  if (!trust) return { caller: { kind: 'anybody' }, why: '' };
  if (trust.isRoots(raw.socket)) return { caller: { kind: 'root' }, why: '' };
  const nobody = (why: string) => ({ caller: { kind: 'nobody' } as const, why: `${why}. ${howTo}` });
  const { authorization } = headers;
  if (authorization === undefined) return nobody('the header "authorization: Bearer TOKEN" is missing');
  const [, token] = /^bearer +(\S+)$/i.exec(authorization.trim()) ?? [];
  if (token === undefined) return nobody('the header "authorization" is not "Bearer TOKEN"');
  const caller = trust.keys.caller(token);
  if (caller === 'unknown') return nobody('this token is not known here: it is mistyped, used up or revoked');
  if (caller === 'expired') return nobody('this token has expired');
  return { caller, why: '' };
}

const howTo =
  'On the director, as root: dsrctl token create makes a token, dsrctl agent invite NAME lets an agent in; the first token of an administrator is in the file admin-token of the state folder (/var/lib/dsr)';

/** Whether one more may be done under this name. */
function limiter(rate: Rate): (name: string) => boolean {
  const buckets = new Map<string, Bucket>();
  return (name) => {
    const bucket = taken(buckets.get(name), rate, performance.now());
    if (!bucket) return false;
    buckets.delete(name);
    buckets.set(name, bucket);
    const [oldest] = buckets.keys();
    if (buckets.size > mostBuckets && oldest !== undefined) buckets.delete(oldest);
    return true;
  };
}

/** Remembers a stream until it ends. Throws TOO_MANY_REQUESTS when there are enough. */
function hold(streams: Map<string, Set<FastifyReply>>, id: string, reply: FastifyReply): void {
  const open = streams.get(id) ?? new Set();
  if (open.size >= mostStreams)
    throw new RequestError(
      'TOO_MANY_REQUESTS',
      `${mostStreams} streams are open with this token already: close some, or use another token`,
    );
  streams.set(id, open.add(reply));
  reply.raw.once('close', () => {
    open.delete(reply);
    if (open.size === 0) streams.delete(id);
  });
}

const tooMany = (which: string): RequestError =>
  new RequestError('TOO_MANY_REQUESTS', `too many requests ${which}: wait a little`);
