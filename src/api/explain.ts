import { z } from 'zod';
import { poolsOf } from '../core/state.ts';
import { explain } from '../core/url/explain.ts';
import { RequestError } from '../errors.ts';
import { nameSchema } from '../schema.ts';
import type { Api, ApiContext } from './context.ts';
import { entryOf } from './pools.ts';

const body = z.strictObject({
  method: z.string().min(1).max(20).default('GET'),
  url: z.string().min(1).max(10_000),
  pool: nameSchema.optional(),
});

/** POST /v1/explain: who would answer a request, and why. */
export function explainRoutes(api: Api, context: ApiContext): void {
  api.post(
    '/v1/explain',
    { config: { access: 'view' }, schema: { summary: 'Who would answer a request, and why; changes nothing', body } },
    async (request) => {
      const state = context.state.get();
      const { pool, url } = request.body;
      if (pool !== undefined) entryOf(state, pool);
      const answers = explain(request.body, poolsOf(state), context.director.last()?.standings ?? new Map());
      if ('refused' in answers)
        throw new RequestError('INVALID_REQUEST', answers.refused, [{ path: 'url', message: answers.refused }]);
      if (answers.length === 0)
        throw new RequestError(
          'NOT_FOUND',
          `no port of ${pool === undefined ? 'any pool' : `the pool "${pool}"`} is asked for ${url}`,
        );
      return { answers };
    },
  );
}
