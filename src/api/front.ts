import { createHash } from 'node:crypto';
import { z } from 'zod';
import { frontPorts } from '../core/handoff/front-desired.ts';
import { type FrontDesired, frontDesiredSchema } from '../handoff-schema.ts';
import { until } from '../loop.ts';
import type { Api, ApiContext } from './context.ts';

const pollQuery = z.strictObject({
  /** The version that the front has; the answer waits for another one. */
  version: z.string().max(100).optional(),
  waitMs: z.coerce.number({ error: 'milliseconds, a whole number' }).int().min(0).max(60_000).default(30_000),
});

/** /v1/front: what the front on this host serves. Has the secrets of its links, so that it is for root and administrators. */
export function frontRoutes(api: Api, context: ApiContext): void {
  api.get(
    '/v1/front',
    {
      config: { access: 'change', stream: true },
      schema: {
        summary: 'What the front must serve, with weights and the secrets of its links (long poll by version)',
        querystring: pollQuery,
        response: { 200: frontDesiredSchema },
      },
    },
    async ({ query, signal }) => {
      const changed = () => {
        const now = desiredNow(context);
        return now && now.version !== query.version ? now : undefined;
      };
      const { passed } = context.director;
      return (await until(passed, changed, query.waitMs, signal, context.closing)) ?? desiredNow(context) ?? empty;
    },
  );
}

const empty: FrontDesired = { version: '', ports: [], keys: {} };

/** Undefined before the first pass. */
function desiredNow({ director, agents, linkKeys }: ApiContext): FrontDesired | undefined {
  const last = director.last();
  if (!last) return undefined;
  const pools = Object.fromEntries(Object.entries(last.state.pools).map(([name, { pool }]) => [name, pool]));
  const ports = frontPorts(pools, last.standings, new Set(last.look.addresses.map(({ address }) => address)));
  const names = new Set(
    ports.filter(({ policy }) => policy.engine === 'handoff').flatMap(({ servers }) => servers.map(({ name }) => name)),
  );
  const keys = Object.fromEntries(
    [...agents.all()]
      .filter(([name]) => names.has(name))
      .map(([name, { report }]) => [name, linkKeys(name, report.machineId)]),
  );
  const version = createHash('sha256').update(JSON.stringify({ ports, keys })).digest('hex').slice(0, 16);
  return { version, ports, keys };
}
