import { z } from 'zod';
import { mergePatch } from '../core/pools.ts';
import { poolsOf, type State } from '../core/state.ts';
import { RequestError } from '../errors.ts';
import { nameSchema, type Pool, type Pools, poolSchema, poolsDocumentSchema } from '../schema.ts';
import type { Api, ApiContext } from './context.ts';
import { fieldErrors } from './problems.ts';
import { write, writeAnswer, writeQuery } from './write.ts';

export const poolParams = z.object({ pool: nameSchema });
/** A JSON merge patch (RFC 7396): any object, no deeper than pools are; the result is validated. */
const patchSchema = z
  .record(z.string(), z.unknown(), { error: 'a JSON merge patch is an object' })
  .refine((patch) => isWithin(patch, 8), { error: 'nested deeper than any pool' });
/** Body of a PATCH route. */
export const patch = { body: patchSchema, consumes: ['application/merge-patch+json', 'application/json'] };
const wholeDocument = z.object({ revision: z.number().int(), pools: z.record(nameSchema, poolSchema) });
const written = { 200: writeAnswer, 201: writeAnswer, 202: writeAnswer };

/** /v1/pools and /v1/pools/{pool}. */
export function poolRoutes(api: Api, context: ApiContext): void {
  api.get(
    '/v1/pools',
    {
      schema: {
        summary: 'All pools, as the document that PUT, plan and export take',
        response: { 200: wholeDocument },
      },
    },
    async (_, reply) => {
      const state = context.state.get();
      reply.header('etag', `"${state.revision}"`);
      return { revision: state.revision, pools: poolsOf(state) };
    },
  );

  api.put(
    '/v1/pools',
    { schema: { summary: 'Replace all pools', body: poolsDocumentSchema, querystring: writeQuery, response: written } },
    (request, reply) => write(request, reply, context, { change: () => request.body.pools }),
  );

  api.delete(
    '/v1/pools',
    { schema: { summary: 'Delete all pools', querystring: writeQuery, response: written } },
    (request, reply) => write(request, reply, context, { change: () => ({}), drainMs: 0 }),
  );

  const onPool = { params: poolParams, querystring: writeQuery, response: written };

  api.get(
    '/v1/pools/:pool',
    { schema: { summary: 'One pool', params: poolParams, response: { 200: poolSchema } } },
    async ({ params }, reply) => {
      const { pool, revision } = entryOf(context.state.get(), params.pool);
      reply.header('etag', `"${revision}"`);
      return pool;
    },
  );

  api.put(
    '/v1/pools/:pool',
    { schema: { summary: 'Make or replace a pool', body: poolSchema, ...onPool } },
    (request, reply) => {
      const { pool } = request.params;
      return write(request, reply, context, {
        pool,
        bodyPath: `pools.${pool}.`,
        isNew: (pools) => !Object.hasOwn(pools, pool),
        change: (pools) => ({ ...pools, [pool]: request.body }),
      });
    },
  );

  api.patch(
    '/v1/pools/:pool',
    { schema: { summary: 'Change a pool (JSON merge patch)', ...patch, ...onPool } },
    (request, reply) => {
      const { pool } = request.params;
      return write(request, reply, context, {
        pool,
        bodyPath: `pools.${pool}.`,
        change: (pools) => ({ ...pools, [pool]: parsePool(mergePatch(existing(pools, pool), request.body)) }),
      });
    },
  );

  api.delete('/v1/pools/:pool', { schema: { summary: 'Delete a pool', ...onPool } }, (request, reply) => {
    const { pool } = request.params;
    return write(request, reply, context, {
      pool,
      drainMs: 0,
      change: (pools) => {
        existing(pools, pool);
        const { [pool]: _, ...rest } = pools;
        return rest;
      },
    });
  });
}

/** A stored pool with its revision. Throws NOT_FOUND. */
export function entryOf({ pools }: State, name: string): State['pools'][string] {
  const entry = Object.hasOwn(pools, name) ? pools[name] : undefined;
  if (!entry) throw noPool(name);
  return entry;
}

export function existing(pools: Pools, name: string): Pool {
  const pool = Object.hasOwn(pools, name) ? pools[name] : undefined;
  if (!pool) throw noPool(name);
  return pool;
}

function isWithin(value: unknown, depth: number): boolean {
  if (typeof value !== 'object' || value === null) return true;
  return depth > 0 && Object.values(value).every((member) => isWithin(member, depth - 1));
}

const noPool = (name: string) =>
  new RequestError('NOT_FOUND', `there is no pool "${name}"; PUT /v1/pools/${name} makes it`);

/** Validates a pool that a patch made. @param strip path cut from the front of wrong fields' paths */
export function parsePool(value: unknown, strip = ''): Pool {
  const result = poolSchema.safeParse(value);
  if (result.success) return result.data;
  const fields = fieldErrors(result.error).map(({ path, message }) => ({
    path: path.startsWith(strip) ? path.slice(strip.length) : path,
    message,
  }));
  throw new RequestError('INVALID_REQUEST', `${fields[0]?.path || 'the body'}: ${fields[0]?.message}`, fields);
}
