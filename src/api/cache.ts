import { z } from 'zod';
import { noPurges, purged } from '../core/url/purges.ts';
import { RequestError } from '../errors.ts';
import { until } from '../loop.ts';
import type { Pool } from '../schema.ts';
import type { Api, ApiContext } from './context.ts';
import { actOf } from './guard.ts';
import { entryOf, poolParams } from './pools.ts';

const query = z.strictObject({
  /** Decoded; with "/" at its end: all below it. */
  path: z
    .string()
    .max(1000, { error: 'a path has at most 1000 characters' })
    // biome-ignore lint/suspicious/noControlCharactersInRegex: they are what is refused
    .regex(/^\/[^\x00-\x1f\x7f?#]*$/, { error: 'a path begins with "/", decoded and without a query' })
    .refine((path) => !/\/\/|\/\.\.?(\/|$)/.test(path), { error: 'a path has no "//", "/./" or "/../"' })
    .optional(),
  waitMs: z.coerce.number({ error: 'milliseconds, a whole number' }).int().min(0).max(60_000).default(0),
});

const answer = z.object({
  revision: z.number().int(),
  purged: z.string(),
  /** Real servers whose agents have not done it yet, as far as they say. */
  waiting: z.array(z.string()),
});

/** DELETE /v1/pools/{pool}/cache: what real servers keep of the director's images counts no more. */
export function cacheRoutes(api: Api, context: ApiContext): void {
  api.delete(
    '/v1/pools/:pool/cache',
    {
      schema: {
        summary: "Forget what real servers keep of the director's images: one path, all below a folder, or everything",
        params: poolParams,
        querystring: query,
        response: { 200: answer, 202: answer },
      },
    },
    async (request, reply) => {
      const { pool: name } = request.params;
      const { path, waitMs } = request.query;
      const { revision } = await context.state.change((state) => {
        const { pool } = entryOf(state, name);
        if (!Object.values(pool.ports).some((port) => port.policy === 'url' && port.edge))
          throw new RequestError('NOT_FOUND', `no port of the pool "${name}" has the engine "edge": nothing is kept`);
        const revision = state.revision + 1;
        const before = Object.hasOwn(state.purges, name) ? state.purges[name] : undefined;
        return {
          ...state,
          revision,
          purges: { ...state.purges, [name]: purged(before ?? noPurges, path, revision) },
        };
      });
      await context.trust?.audit.add({ ...actOf(request), status: 202 });
      const what = path ?? '/';
      context.events.add('cache-purged', `${what} is fetched from the director again`, { pool: name });
      const waiting = () => behind(entryOf(context.state.get(), name).pool, revision, context);
      if (waitMs > 0)
        await until(
          context.director.passed,
          () => (waiting().length === 0 ? true : undefined),
          waitMs,
          request.signal,
          context.closing,
        );
      const left = waiting();
      reply.code(left.length > 0 ? 202 : 200);
      return { revision, purged: what, waiting: left };
    },
  );
}

const behind = ({ realServers }: Pool, revision: number, { agents }: ApiContext): string[] =>
  Object.keys(realServers).filter((name) => (agents.all().get(name)?.report.revision ?? 0) < revision);
