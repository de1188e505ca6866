import { join } from 'node:path';
import { z } from 'zod';
import type { AgentRecord } from '../core/agents.ts';
import type { Peaks } from '../core/capacity/peaks.ts';
import type { ForwardingMethod, Protocol, SchedulerBit } from '../core/kernel-state.ts';
import { emptyState, type State } from '../core/state.ts';
import { eventSchema, nameSchema, poolSchema, reportSchema } from '../schema.ts';
import { type Document, openDocument, openExpendable } from './document.ts';
import type { KeptEvents } from './events.ts';

const service = z.object({
  id: z.object({ vip: z.string(), port: z.number(), protocol: z.string() as z.ZodType<Protocol> }),
  config: z.object({
    scheduler: z.string(),
    schedulerBits: z.array(z.string() as z.ZodType<SchedulerBit>),
    persistenceSeconds: z.number(),
    persistencePrefix: z.number(),
    onePacket: z.boolean(),
  }),
  destinations: z.array(
    z.object({
      address: z.string(),
      port: z.number(),
      method: z.string() as z.ZodType<ForwardingMethod>,
      weight: z.number(),
      upperThreshold: z.number(),
      lowerThreshold: z.number(),
    }),
  ),
});

const whole = z.number().int().min(0);

export const ledgerSchema = z.strictObject({
  boot: z.string(),
  services: z.record(
    z.string(),
    z.discriminatedUnion('origin', [
      z.object({ origin: z.literal('made') }),
      z.object({ origin: z.literal('adopted'), before: service }),
    ]),
  ),
  addresses: z.record(
    z.string(),
    z.object({ origin: z.enum(['made', 'adopted']), prefix: z.number(), interface: z.string() }),
  ),
  sysctls: z.record(z.string(), z.string()),
  routes: z.record(z.string(), z.object({ address: z.string(), interface: z.string() })).default({}),
});

const stateSchema = z.strictObject({
  revision: z.number().int().min(0),
  pools: z.record(nameSchema, z.object({ revision: z.number().int(), pool: poolSchema })),
  drains: z.array(
    z.strictObject({
      pool: z.string(),
      realServer: z.string().nullable(),
      vip: z.string(),
      address: z.string(),
      ports: z.array(z.string()),
      deadline: z.number(),
      drainMs: z.number(),
      done: z.boolean(),
    }),
  ),
  purges: z
    .record(
      nameSchema,
      z.strictObject({
        generation: z.number().int(),
        paths: z.array(z.strictObject({ path: z.string(), generation: z.number().int() })),
      }),
    )
    .default({}),
  probers: z.array(z.string()).default([]),
  ledger: ledgerSchema,
});

/** What users asked for and what the controller owns: DIR/state.json. */
export const openState = (dir: string, changed?: (state: State) => void): Document<State> =>
  openDocument<State>({
    path: join(dir, 'state.json'),
    version: 1,
    schema: stateSchema,
    initial: emptyState(),
    ...(changed && { changed }),
  });

export interface KnownAgents {
  agents: Record<string, AgentRecord['report'] & { speedMbit?: number | undefined }>;
}

const knownAgent = reportSchema.extend({ speedMbit: z.number().positive().optional() });

/** The last word of every agent, so that a restart does not wait for them: DIR/agents.json. */
export const openAgents = (dir: string): Document<KnownAgents> =>
  openDocument<KnownAgents>({
    path: join(dir, 'agents.json'),
    version: 1,
    schema: z.strictObject({ agents: z.record(nameSchema, knownAgent) }),
    initial: { agents: {} },
  });

/** What happened last, so that it can be read after a restart: DIR/events.json. */
export const openEvents = (dir: string): Document<KeptEvents> =>
  openDocument<KeptEvents>({
    path: join(dir, 'events.json'),
    version: 1,
    schema: z.strictObject({ events: z.array(eventSchema) }),
    initial: { events: [] },
  });

export interface KeptPeaks {
  pools: Peaks;
}

/**
 * How busy each day was, by pool: DIR/capacity.json. A forecast is not worth a controller that does not start: a file that
 * cannot be understood is put aside, and days are counted anew.
 *
 * @param told why, and where the file is now
 */
export const openPeaks = (dir: string, told: (words: string) => void): Document<KeptPeaks> =>
  openExpendable<KeptPeaks>(
    {
      path: join(dir, 'capacity.json'),
      version: 1,
      schema: z.strictObject({
        pools: z.record(nameSchema, z.array(z.strictObject({ day: whole, mbit: z.number().min(0), minutes: whole }))),
      }),
      initial: { pools: {} },
    },
    told,
  );
