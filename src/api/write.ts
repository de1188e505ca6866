import type { FastifyReply, FastifyRequest } from 'fastify';
import { z } from 'zod';
import { conflictsIn, defaultDrainMs, replacePools } from '../core/pools.ts';
import { poolsOf, type State } from '../core/state.ts';
import { missingOf } from '../core/status.ts';
import { RequestError } from '../errors.ts';
import { until } from '../loop.ts';
import type { Pools } from '../schema.ts';
import type { ApiContext } from './context.ts';

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
  /** The pools after the write. Throws RequestError. */
  change(pools: Pools): Pools;
  /** Whether the write makes what it names. */
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
  let created = false;
  const before = context.state.get().revision;
  const state = await context.state.change((now) => {
    checkRevision(request, now, write.pool);
    const pools = poolsOf(now);
    const next = write.change(pools);
    refuseConflicts(next, write.bodyPath);
    created = write.isNew?.(pools) ?? false;
    const replaced = replacePools(now, next, Date.now(), query.drainMs ?? write.drainMs ?? defaultDrainMs);
    return write.also ? write.also(replaced) : replaced;
  });
  if (state.revision !== before)
    context.events.add(
      'pools-changed',
      `${request.method} ${request.url.split('?')[0]} stored as revision ${state.revision}`,
      write.pool === undefined ? {} : { pool: write.pool },
    );
  context.director.wake();
  const { revision } = state;
  const about = () => missing(context, revision, write.pool);
  if (query.waitMs)
    await until(
      context.director.passed,
      () => (about().length === 0 ? true : undefined),
      query.waitMs,
      context.closing,
    );
  const lacking = about();
  const draining = context.state
    .get()
    .drains.filter((drain) => !drain.done && (write.pool === undefined || drain.pool === write.pool))
    .map((drain) => drain.realServer ?? drain.address);
  const goesOn =
    draining.length > 0 ||
    (query.waitMs !== undefined && lacking.length > 0) ||
    (request.method === 'DELETE' && lacking.length > 0);
  reply.code(goesOn ? 202 : created ? 201 : 200);
  const entry = write.pool === undefined ? undefined : state.pools[write.pool];
  reply.header('etag', `"${entry?.revision ?? revision}"`);
  const watch = entry ? `/v1/status?pool=${write.pool}` : '/v1/status';
  return { revision, reconciled: lacking.length === 0, missing: lacking, draining, watch };
}

/** What the kernel lacks of this revision, in words. */
function missing(context: ApiContext, revision: number, poolName: string | undefined): string[] {
  const pass = context.director.last();
  const error = context.director.error();
  if (error) return [error.message];
  if (!pass || pass.revision < revision) return ['the kernel has not been brought up to this revision yet'];
  const pools = Object.entries(pass.state.pools).filter(([name]) => poolName === undefined || name === poolName);
  const lacking = new Set(pools.flatMap(([, { pool }]) => missingOf(pool, pass)));
  if (pools.length === 0) for (const { message } of pass.failures) lacking.add(message);
  if (pools.length === 0 && pass.held)
    lacking.add('nothing is taken away before the agents have reported after the start, or 3 s have passed');
  return [...lacking];
}

/** `If-Match` and `If-None-Match: *` against the revision of the pool, or of all. */
function checkRevision(request: FastifyRequest, state: State, pool: string | undefined): void {
  const current = pool === undefined ? state.revision : state.pools[pool]?.revision;
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
  if (request.headers['if-none-match'] === '*' && current !== undefined && pool !== undefined)
    throw new RequestError('REVISION_MISMATCH', `the pool "${pool}" exists; without If-None-Match it is replaced`);
}

export function refuseConflicts(pools: Pools, bodyPath = ''): void {
  const fields = conflictsIn(pools).map(({ path, message }) => ({
    path: path.startsWith(bodyPath) ? path.slice(bodyPath.length) : path,
    message,
  }));
  if (fields[0]) throw new RequestError('CONFLICT', fields[0].message, fields);
}
