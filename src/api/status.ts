import { Readable } from 'node:stream';
import { setTimeout } from 'node:timers/promises';
import { z } from 'zod';
import { ipvsSysctls } from '../core/ipvs-sysctls.ts';
import { detailOf, type StatusFacts, summaryOf } from '../core/status.ts';
import { commandOf } from '../core/steps.ts';
import { RequestError } from '../errors.ts';
import { nameSchema, poolsDocumentSchema } from '../schema.ts';
import type { Api, ApiContext } from './context.ts';
import { frontProblem } from './front.ts';
import { entryOf } from './pools.ts';
import { refuseConflicts } from './write.ts';

const streamMs = 1000;
const leastMs = 200;

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
      if (query.pool === undefined) return { ...headOf(context, facts), ...summaryOf(facts) };
      entryOf(facts.state, query.pool);
      return { ...headOf(context, facts), pools: { [query.pool]: detailOf(query.pool, facts) } };
    },
  );

  api.get(
    '/v1/status/stream',
    {
      // HEAD would start a stream that nobody ends.
      exposeHeadRoute: false,
      config: { stream: true },
      schema: {
        summary: 'The status each second, as server-sent events; with ?pool=NAME also that pool in full, as "detail"',
        querystring: z.strictObject({ pool: nameSchema.optional() }),
      },
    },
    async ({ query, signal }, reply) => {
      reply.header('content-type', 'text/event-stream').header('cache-control', 'no-store');
      return reply.send(Readable.from(statusStream(context, query.pool, signal)));
    },
  );

  api.post(
    '/v1/plan',
    {
      config: { access: 'view' },
      schema: { summary: 'The steps that these pools would take; changes nothing', body: poolsDocumentSchema },
    },
    async ({ body }) => {
      refuseConflicts(body.pools);
      const steps = await context.director.planFor(body.pools);
      return {
        revision: context.state.get().revision,
        steps: steps.map((step) => ({ host: 'director', ...step, command: commandOf(step) })),
      };
    },
  );

  api.get('/healthz', { config: { access: 'open' }, schema: { summary: 'Whether the controller works' } }, async () => {
    const error = context.director.error();
    if (error) throw new RequestError('NOT_READY', error.message);
    return { status: 'ok' };
  });
}

/** Each event is the whole: who comes back has missed nothing. */
async function* statusStream(context: ApiContext, pool: string | undefined, gone: AbortSignal): AsyncGenerator<string> {
  yield 'retry: 1000\n\n';
  while (!gone.aborted && !context.closing.aborted) {
    const facts = factsOf(context);
    const detail = pool === undefined ? undefined : detailOf(pool, facts);
    const data = {
      at: new Date(facts.now).toISOString(),
      ...headOf(context, facts),
      ...summaryOf(facts),
      ...(detail && { detail }),
    };
    yield `event: status\ndata: ${JSON.stringify(data)}\n\n`;
    const newest = () => context.events.since().at(-1)?.id;
    const known = newest();
    await setTimeout(leastMs, undefined, { signal: AbortSignal.any([gone, context.closing]) }).catch(() => {});
    // What is an event is told at once.
    if (newest() === known) await context.events.added.next(streamMs - leastMs, gone, context.closing);
  }
}

function headOf(context: ApiContext, { reconciledRevision }: StatusFacts) {
  return {
    storedRevision: context.state.get().revision,
    reconciledRevision,
    interface: context.interface,
    problems: problemsOf(context),
    sysctls: sysctlsOf(context),
  };
}

/** The last pass over the pools that are stored now, which may be newer. */
export function factsOf(context: ApiContext): StatusFacts {
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
    traffic: context.traffic.facts(),
    capacity: context.capacity.facts(),
    claimants: context.witness.claimants(),
    now: Date.now(),
  };
}

function problemsOf(context: ApiContext): string[] {
  const error = context.director.error();
  const failures = context.director.last()?.failures.map(({ step, message }) => `${commandOf(step)}: ${message}`) ?? [];
  const unprobed = context.health.problem();
  const unasked = context.witness.problem();
  return [
    ...(error ? [error.message] : []),
    ...(unprobed === undefined ? [] : [`nothing can be probed: ${unprobed}`]),
    ...(unasked === undefined ? [] : [`the LAN cannot be asked who answers for the VIPs: ${unasked}`]),
    ...frontProblem(context),
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
