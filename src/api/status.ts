import { z } from 'zod';
import { ipvsSysctls } from '../core/ipvs-sysctls.ts';
import { detailOf, type StatusFacts, summaryOf } from '../core/status.ts';
import { commandOf } from '../core/steps.ts';
import { RequestError } from '../errors.ts';
import { nameSchema, poolsDocumentSchema } from '../schema.ts';
import type { Api, ApiContext } from './context.ts';
import { entryOf } from './pools.ts';
import { refuseConflicts } from './write.ts';

/** /v1/status, /v1/plan and /healthz. */
export function statusRoutes(api: Api, context: ApiContext): void {
  api.get(
    '/v1/status',
    {
      schema: {
        summary: 'What is desired, observed and actual; with ?pool=NAME in full',
        querystring: z.strictObject({ pool: nameSchema.optional() }),
      },
    },
    async ({ query }) => {
      const facts = factsOf(context);
      const head = {
        storedRevision: context.state.get().revision,
        reconciledRevision: facts.reconciledRevision,
        interface: context.interface,
        problems: problemsOf(context),
        sysctls: sysctlsOf(context),
      };
      if (query.pool === undefined) return { ...head, ...summaryOf(facts) };
      entryOf(facts.state, query.pool);
      return { ...head, pools: { [query.pool]: detailOf(query.pool, facts) } };
    },
  );

  api.post(
    '/v1/plan',
    { schema: { summary: 'The steps that these pools would take; changes nothing', body: poolsDocumentSchema } },
    async ({ body }) => {
      refuseConflicts(body.pools);
      const steps = await context.director.planFor(body.pools);
      return {
        revision: context.state.get().revision,
        steps: steps.map((step) => ({ host: 'director', ...step, command: commandOf(step) })),
      };
    },
  );

  api.get('/healthz', { schema: { summary: 'Whether the controller works' } }, async () => {
    const error = context.director.error();
    if (error) throw new RequestError('NOT_READY', error.message);
    return { status: 'ok' };
  });
}

/** The last pass over the pools that are stored now, which may be newer. */
function factsOf(context: ApiContext): StatusFacts {
  const pass = context.director.last();
  const state = context.state.get();
  return {
    state,
    reconciledRevision: pass?.reconciledRevision ?? 0,
    services: pass?.look.services ?? new Map(),
    addresses: pass?.look.addresses ?? [],
    standings: pass?.standings ?? new Map(),
    findings: context.health.findings(),
    proberProblem: context.health.problem(),
    mtu: pass?.look.links.find(({ name }) => name === context.interface)?.mtu,
    blocked: pass?.blocked ?? new Map(),
    failures: pass?.failures ?? [],
    held: pass?.held ?? false,
    interface: context.interface,
    manageVip: context.manageVip,
    agents: context.agents.all(),
    listening: pass?.listening ?? new Map(),
    connections: pass?.connections ?? new Map(),
    now: Date.now(),
  };
}

function problemsOf(context: ApiContext): string[] {
  const error = context.director.error();
  const failures = context.director.last()?.failures.map(({ step, message }) => `${commandOf(step)}: ${message}`) ?? [];
  const unprobed = context.health.problem();
  return [
    ...(error ? [error.message] : []),
    ...(unprobed === undefined ? [] : [`nothing can be probed: ${unprobed}`]),
    ...failures.slice(0, 20),
  ];
}

/** The sysctls of IPVS that are kept as the pools need them, and why. */
function sysctlsOf(context: ApiContext) {
  const look = context.director.last()?.look;
  return ipvsSysctls.map(({ key, value, reason }) => ({
    key,
    desired: value,
    actual: look?.sysctls.get(key) ?? null,
    reason,
  }));
}
