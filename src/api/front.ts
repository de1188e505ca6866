import { createHash } from 'node:crypto';
import { z } from 'zod';
import { withPort } from '../core/address.ts';
import { frontPorts } from '../core/handoff/front-desired.ts';
import { RequestError } from '../errors.ts';
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
      const end = context.front.begin();
      const change = await until(passed, changed, query.waitMs, signal, context.closing).finally(end);
      const now = change ?? desiredNow(context);
      // The front keeps to what it was told last: it must not take "nothing yet" for "nothing".
      if (!now) throw new RequestError('NOT_READY', 'the controller has not looked at this host yet; ask again');
      return now;
    },
  );
}

/** Whether a front asks, which it does all the time. */
export interface FrontWatch {
  /** Answers what is to be called when the asking is over. */
  begin(): () => void;
  isThere(): boolean;
}

/** It asks again half a second after it was refused. */
const absentMs = 5000;

export function watchFront(now = () => performance.now()): FrontWatch {
  let asking = 0;
  let lastAt = now();
  return {
    begin() {
      asking++;
      return () => {
        asking--;
        lastAt = now();
      };
    },
    isThere: () => asking > 0 || now() - lastAt < absentMs,
  };
}

/** In words, where ports need a front and there is none. */
export function frontProblem({ state, front }: Pick<ApiContext, 'state' | 'front'>): string[] {
  if (front.isThere()) return [];
  const ports = Object.values(state.get().pools).flatMap(({ pool }) =>
    Object.entries(pool.ports)
      .filter(([, port]) => port.policy === 'url' && port.engine !== 'edge')
      .map(([port]) => withPort(pool.vip, Number.parseInt(port, 10))),
  );
  if (ports.length === 0) return [];
  return [
    `dsr-front does not run, so nobody answers ${ports.join(', ')}: write /etc/dsr/front.json, then systemctl enable --now dsr-front`,
  ];
}

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
