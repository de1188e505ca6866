import { z } from 'zod';
import { defaultDrainMs, mergePatch } from '../core/pools.ts';
import type { State } from '../core/state.ts';
import { RequestError } from '../errors.ts';
import { nameSchema, type Pool, realServerSchema, realServersSchema } from '../schema.ts';
import type { Api, ApiContext } from './context.ts';
import { entryOf, existing, parsePool, patch, poolParams } from './pools.ts';
import { type Write, write, writeAnswer, writeQuery } from './write.ts';

const serverParams = z.object({ pool: nameSchema, name: nameSchema });
const written = { 200: writeAnswer, 201: writeAnswer, 202: writeAnswer };

/** /v1/pools/{pool}/real-servers and /v1/pools/{pool}/real-servers/{name}. */
export function realServerRoutes(api: Api, context: ApiContext): void {
  const all = { params: poolParams, querystring: writeQuery, response: written };
  const one = { params: serverParams, querystring: writeQuery, response: written };

  api.get(
    '/v1/pools/:pool/real-servers',
    { schema: { summary: "A pool's real servers", params: poolParams, response: { 200: realServersSchema } } },
    async ({ params }, reply) => {
      const { pool, revision } = entryOf(context.state.get(), params.pool);
      reply.header('etag', `"${revision}"`);
      return pool.realServers;
    },
  );

  api.put(
    '/v1/pools/:pool/real-servers',
    { schema: { summary: "Replace a pool's real servers", body: realServersSchema, ...all } },
    (request, reply) =>
      write(
        request,
        reply,
        context,
        changed(request.params.pool, undefined, () => request.body),
      ),
  );

  api.patch(
    '/v1/pools/:pool/real-servers',
    { schema: { summary: 'Change real servers (JSON merge patch)', ...patch, ...all } },
    (request, reply) =>
      write(
        request,
        reply,
        context,
        changed(request.params.pool, undefined, (servers) => mergePatch(servers, request.body)),
      ),
  );

  api.delete(
    '/v1/pools/:pool/real-servers',
    { schema: { summary: 'Drain and remove all real servers', ...all } },
    (request, reply) =>
      write(
        request,
        reply,
        context,
        changed(request.params.pool, undefined, () => ({})),
      ),
  );

  api.get(
    '/v1/pools/:pool/real-servers/:name',
    { schema: { summary: 'One real server', params: serverParams, response: { 200: realServerSchema } } },
    async ({ params }, reply) => {
      const { pool, revision } = entryOf(context.state.get(), params.pool);
      reply.header('etag', `"${revision}"`);
      return serverOf(pool, params);
    },
  );

  api.put(
    '/v1/pools/:pool/real-servers/:name',
    { schema: { summary: 'Make or replace a real server', body: realServerSchema, ...one } },
    (request, reply) => {
      const { pool, name } = request.params;
      return write(request, reply, context, {
        ...changed(pool, name, (servers) => ({ ...servers, [name]: request.body })),
        isNew: (pools) => !Object.hasOwn(existing(pools, pool).realServers, name),
      });
    },
  );

  api.patch(
    '/v1/pools/:pool/real-servers/:name',
    { schema: { summary: 'Change a real server (JSON merge patch)', ...patch, ...one } },
    (request, reply) => {
      const { pool, name } = request.params;
      return write(request, reply, context, {
        ...changed(pool, name, (servers, now) => ({
          ...servers,
          [name]: mergePatch(serverOf(now, request.params), request.body),
        })),
      });
    },
  );

  api.delete(
    '/v1/pools/:pool/real-servers/:name',
    { schema: { summary: 'Drain and remove a real server', ...one } },
    (request, reply) => {
      const { pool, name } = request.params;
      const drainMs = request.query.drainMs ?? defaultDrainMs;
      return write(request, reply, context, {
        ...changed(pool, name, ({ [name]: _, ...rest }, now) => {
          if (!isLeaving(context.state.get(), pool, name)) serverOf(now, request.params);
          return rest;
        }),
        also: (state) => hurry(state, pool, name, Date.now() + drainMs),
      });
    },
  );
}

/** A write of a pool's real servers, validated as a whole pool. */
function changed(
  pool: string,
  realServer: string | undefined,
  next: (servers: Pool['realServers'], pool: Pool) => unknown,
): Write {
  const inside = realServer === undefined ? 'realServers.' : `realServers.${realServer}.`;
  return {
    pool,
    ...(realServer !== undefined && { realServer }),
    bodyPath: `pools.${pool}.${inside}`,
    change: (pools) => {
      const now = existing(pools, pool);
      return { ...pools, [pool]: parsePool({ ...now, realServers: next(now.realServers, now) }, inside) };
    },
  };
}

function serverOf(pool: Pool, { pool: poolName, name }: { pool: string; name: string }) {
  const server = Object.hasOwn(pool.realServers, name) ? pool.realServers[name] : undefined;
  if (!server) throw new RequestError('NOT_FOUND', `the pool "${poolName}" has no real server "${name}"; PUT makes it`);
  return server;
}

const isLeaving = (state: State, pool: string, name: string) =>
  state.drains.some((drain) => drain.pool === pool && drain.realServer === name && !drain.done);

/** A second DELETE of a real server that is leaving may shorten its time. */
function hurry(state: State, pool: string, name: string, deadline: number): State {
  const drains = state.drains.map((drain) =>
    drain.pool === pool && drain.realServer === name && !drain.done && drain.deadline > deadline
      ? { ...drain, deadline }
      : drain,
  );
  return drains.some((drain, i) => drain !== state.drains[i])
    ? { ...state, revision: state.revision + 1, drains }
    : state;
}
