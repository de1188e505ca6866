import { z } from 'zod';
import { agentDesired } from '../core/agents.ts';
import { handedPorts } from '../core/handoff/front-desired.ts';
import { poolsOf } from '../core/state.ts';
import { RequestError } from '../errors.ts';
import { until } from '../loop.ts';
import { agentDesiredSchema, nameSchema, reportAnswerSchema, reportSchema } from '../schema.ts';
import type { Api, ApiContext } from './context.ts';
import { actOf, refuseOtherMachine } from './guard.ts';

const agentParams = z.object({ name: nameSchema });
const pollQuery = z.strictObject({
  /** The revision that the agent has; the answer waits for another one. */
  revision: z.coerce.number({ error: 'a revision is a whole number' }).int().min(0).optional(),
  waitMs: z.coerce.number({ error: 'milliseconds, a whole number' }).int().min(0).max(60_000).default(30_000),
  /** Of the host that asks, which has a secret of its own with the front. */
  machineId: z.string().min(1).max(128).optional(),
});

/** /v1/agents: what agents fetch and report, and what is known of them. */
export function agentRoutes(api: Api, context: ApiContext): void {
  api.get('/v1/agents', { schema: { summary: 'All agents that have ever reported' } }, async () => {
    const agents = [...context.agents.all()].map(([name, { report, lastReport }]) => [
      name,
      { ...report, lastReport: lastReport === null ? null : new Date(lastReport).toISOString() },
    ]);
    return { agents: Object.fromEntries(agents) };
  });

  api.get(
    '/v1/agents/:name/desired',
    {
      config: { access: 'agent', stream: true },
      schema: {
        summary: "What a real server's host must look like (long poll by revision)",
        params: agentParams,
        querystring: pollQuery,
        response: { 200: agentDesiredSchema },
      },
    },
    async ({ params, query, signal, caller }) => {
      if (query.machineId !== undefined) refuseOtherMachine(caller, query.machineId);
      const changed = () => (context.state.get().revision === query.revision ? undefined : true);
      await until(context.stateChanged, changed, query.waitMs, signal, context.closing);
      const state = context.state.get();
      const pools = poolsOf(state);
      const ports = query.machineId === undefined ? [] : handedPorts(params.name, pools);
      return {
        ...agentDesired(params.name, state, pools),
        ...(query.machineId !== undefined &&
          ports.length > 0 && { handoff: { key: context.linkKeys(params.name, query.machineId), ports } }),
      };
    },
  );

  api.post(
    '/v1/agents/:name/report',
    {
      config: { access: 'agent' },
      schema: {
        summary: "A real server's word on itself",
        params: agentParams,
        body: reportSchema,
        response: { 200: reportAnswerSchema },
      },
    },
    async ({ params, body, caller }) => {
      refuseOtherMachine(caller, body.machineId);
      context.agents.report(params.name, body);
      context.traffic.take(params.name, body);
      return { revision: context.state.get().revision, ...leftFor(body.addresses, context) };
    },
  );

  api.delete(
    '/v1/agents/:name',
    { schema: { summary: 'Forget an agent, so that another machine may take its name', params: agentParams } },
    async (request) => {
      const { params } = request;
      const known = await context.agents.forget(params.name);
      const revoked = (await context.trust?.keys.revokeAgent(params.name)) ?? false;
      if (!known && !revoked)
        throw new RequestError('NOT_FOUND', `no agent "${params.name}" has ever reported or been invited`);
      await context.trust?.audit.add({ ...actOf(request), status: 200 });
      return { forgotten: params.name };
    },
  );
}

/** What the director's kernel had for a host at the last look. */
function leftFor(addresses: readonly string[], { director }: ApiContext): { serving: number; connections: number } {
  const own = new Set(addresses);
  let [serving, connections] = [0, 0];
  for (const { id, destinations } of director.last()?.look.services.values() ?? [])
    for (const { address, weight, connections: count } of destinations) {
      if (!own.has(address)) continue;
      if (weight > 0) serving++;
      connections += count.active + count.persistent + (id.protocol === 'udp' ? count.inactive : 0);
    }
  return { serving, connections };
}
