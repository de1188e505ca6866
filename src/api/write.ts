import type { FastifyReply, FastifyRequest } from 'fastify';
import { z } from 'zod';
import { conflictsIn, defaultDrainMs, replacePools } from '../core/pools.ts';
import { poolsOf, type State } from '../core/state.ts';
import { missingOf } from '../core/status.ts';
import { RequestError } from '../errors.ts';
import { until } from '../loop.ts';
import type { Pools } from '../schema.ts';
import type { ApiContext } from './context.ts';
import { actOf } from './guard.ts';

const milliseconds = (max: number) =>
  z.coerce
    .number({ error: 'milliseconds, a whole number' })
    .int({ error: 'milliseconds, a whole number' })
    .min(0, { error: 'at least 0' })
    .max(max, { error: `at most ${max}` });

/** Query of every write. */
export const writeQuery = z.strictObject({
  waitMs: milliseconds(60_000).optional(),
  drainMs: milliseconds(86_400_000).optional(),
});

export const writeAnswer = z.object({
  revision: z.number().int(),
  /** The director's kernel has it. */
  reconciled: z.boolean(),
  /** What it still lacks, in words. */
  missing: z.array(z.string()),
  /** Real servers that keep their connections for a while. */
  draining: z.array(z.string()),
  /** Where to watch what goes on after the answer. */
  watch: z.string(),
});

export interface Write {
  /** The pool that the write is about; absent when it is about all of them. */
  pool?: string;
  /** The real server of that pool; absent when it is about the whole pool. */
  realServer?: string;
  /** The pools after the write. Throws RequestError. */
  change(pools: Pools): Pools;
  /** Whether the write makes what it names; never without this. */
  isNew?(before: Pools): boolean;
  /** Path that the client's body begins at inside a pools document, cut from the paths of conflicts. */
  bodyPath?: string;
  /** Further change of the state in the same write. */
  also?(state: State): State;
  drainMs?: number;
}

/**
 * Stores a change of the pools and answers with its revision: 201 when something is new, 202 when something goes on
 * after the answer, else 200. With `waitMs` it answers when the kernel has it.
 */
export async function write(
  request: FastifyRequest,
  reply: FastifyReply,
  context: ApiContext,
  write: Write,
): Promise<z.infer<typeof writeAnswer>> {
  const query = request.query as z.infer<typeof writeQuery>;
  let before = context.state.get();
  let created = false;
  const state = await context.state.change((now) => {
    before = now;
    const pools = poolsOf(now);
    created = write.isNew?.(pools) ?? false;
    checkRevision(request, now, write.pool, created);
    const next = write.change(pools);
    refuseConflicts(next, write.bodyPath);
    const replaced = replacePools(now, next, Date.now(), query.drainMs ?? write.drainMs ?? defaultDrainMs);
    return write.also ? write.also(replaced) : replaced;
  });
  let audited: Promise<void> | undefined;
  if (state !== before) {
    audited = context.trust?.audit.add({
      ...actOf(request),
      status: created ? 201 : 200,
      ...changedPools(before, state),
    });
    context.events.add(
      'pools-changed',
      `${request.method} ${request.url.split('?')[0]} stored as revision ${state.revision}`,
      write.pool === undefined ? {} : { pool: write.pool },
    );
  }
  // The kernel need not wait for the audit's disk; the answer does.
  context.director.wake();
  await audited;
  const { revision } = state;
  const missing = () => missingNow(context, revision, before, write.pool);
  if (query.waitMs)
    await until(
      context.director.passed,
      () => (missing().length === 0 ? true : undefined),
      query.waitMs,
      request.signal,
      context.closing,
    );
  const lacking = missing();
  const draining = context.state
    .get()
    .drains.filter(({ done, pool }) => !done && (write.pool ?? pool) === pool)
    .filter(({ realServer }) => (write.realServer ?? realServer) === realServer)
    .map(({ realServer, address }) => realServer ?? address);
  const goesOn =
    draining.length > 0 ||
    (query.waitMs !== undefined && lacking.length > 0) ||
    (request.method === 'DELETE' && lacking.length > 0);
  reply.code(goesOn ? 202 : created ? 201 : 200);
  const current = revisionOf(state, write.pool);
  if (current !== undefined) reply.header('etag', `"${current}"`);
  const watch = write.pool === undefined || current === undefined ? '/v1/status' : `/v1/status?pool=${write.pool}`;
  return { revision, reconciled: lacking.length === 0, missing: lacking, draining, watch };
}

/** The pools that differ, as they were and as they are. */
function changedPools(before: State, after: State): { before: Pools; after: Pools } {
  const differs = (name: string) => before.pools[name]?.revision !== after.pools[name]?.revision;
  const only = (state: State) => Object.fromEntries(Object.entries(poolsOf(state)).filter(([name]) => differs(name)));
  return { before: only(before), after: only(after) };
}

/** What the kernel lacks of this revision, in words: of the pool, or of all, as before the write and as now. */
function missingNow(context: ApiContext, revision: number, before: State, pool: string | undefined): string[] {
  const pass = context.director.last();
  const error = context.director.error();
  if (error) return [error.message];
  if (!pass || pass.revision < revision) return ['the kernel has not been brought up to this revision yet'];
  const lacking = [before, pass.state]
    .flatMap(({ pools }) => Object.entries(pools))
    .filter(([name]) => (pool ?? name) === name)
    .flatMap(([, entry]) => missingOf(entry.pool, pass));
  return [...new Set(lacking)];
}

/** Revision of the pool, or of all; undefined when there is no such pool. */
function revisionOf(state: State, pool: string | undefined): number | undefined {
  if (pool === undefined) return state.revision;
  return Object.hasOwn(state.pools, pool) ? state.pools[pool]?.revision : undefined;
}

/** `If-Match` and `If-None-Match: *` (RFC 9110, 13.1) against the revision of the pool, or of all. */
function checkRevision(request: FastifyRequest, state: State, pool: string | undefined, isNew: boolean): void {
  const current = revisionOf(state, pool);
  const match = request.headers['if-match'];
  if (match !== undefined) {
    const tags = match.split(',').map((tag) => tag.trim().replace(/^"|"$/g, ''));
    const fits = current !== undefined && (tags.includes('*') || tags.includes(String(current)));
    if (!fits)
      throw new RequestError(
        'REVISION_MISMATCH',
        `If-Match says ${match}, ${current === undefined ? 'and it does not exist' : `the revision is "${current}"`}: read it again, then write`,
      );
  }
  if (request.headers['if-none-match'] === '*' && current !== undefined && !isNew)
    throw new RequestError('REVISION_MISMATCH', 'it exists, and If-None-Match says that it must not');
}

export function refuseConflicts(pools: Pools, bodyPath = ''): void {
  const fields = conflictsIn(pools).map(({ path, message }) => ({
    path: path.startsWith(bodyPath) ? path.slice(bodyPath.length) : path,
    message,
  }));
  if (fields[0]) throw new RequestError('CONFLICT', fields[0].message, fields);
}
