import { z } from 'zod';

/** What the controller answers, as far as it is shown. Members that this version does not know are passed over. */

const cardRate = z.object({
  interface: z.string(),
  speedMbit: z.number().nullable(),
  rxMbit: z.number(),
  txMbit: z.number(),
  rxPacketsPerSecond: z.number(),
  txPacketsPerSecond: z.number(),
  lostPerSecond: z.number(),
  loadPercent: z.number().nullable(),
  fuller: z.enum(['rx', 'tx']),
  ageMs: z.number(),
});
const serviceRate = z.object({
  connectionsPerSecond: z.number(),
  packetsPerSecond: z.number(),
  requestsMbit: z.number(),
});
const trafficView = z.object({
  director: cardRate.nullable(),
  realServers: z.record(z.string(), cardRate),
  requests: serviceRate.nullable(),
  repliesMbit: z.number(),
  directorSharePercent: z.number().nullable(),
  bottleneck: z
    .object({ host: z.string(), direction: z.enum(['rx', 'tx']), loadPercent: z.number(), full: z.boolean() })
    .nullable(),
});

const percent = z.number().nullable();
const brief = z.object({
  carriedMbit: z.number(),
  capacityMbit: z.number().nullable(),
  fullPercent: percent,
  first: z.string().nullable(),
  peakPercent: percent,
  fullInDays: z.number().nullable(),
  withoutLargestPeakPercent: percent,
});
const capacity = z.looseObject({
  capacityMbit: z.number().nullish(),
  cards: z.record(z.string(), z.number().nullable()),
  words: z.string(),
});
export type Capacity = z.infer<typeof capacity>;

const head = {
  storedRevision: z.number(),
  reconciledRevision: z.number(),
  interface: z.string(),
  problems: z.array(z.string()).default([]),
};

/** GET /v1/status */
export const statusSchema = z.object({
  ...head,
  counts: z.object({
    pools: z.number(),
    realServers: z.number(),
    serving: z.number(),
    destinations: z.number(),
    draining: z.number(),
  }),
  pools: z.record(
    z.string(),
    z.object({
      vip: z.string(),
      well: z.boolean(),
      serving: z.number(),
      realServers: z.number(),
      capacity: brief.optional(),
    }),
  ),
  unwell: z.array(z.object({ pool: z.string(), realServer: z.string().optional(), reason: z.string() })),
  /** Older controllers do not tell it. */
  traffic: trafficView.nullish(),
});
export type Status = z.infer<typeof statusSchema>;

const drain = z.object({ done: z.boolean(), remainingConnections: z.number(), deadline: z.string() });

const realServerDetail = z.object({
  address: z.string(),
  weight: z.number(),
  serving: z.boolean(),
  reason: z.string(),
  desired: z.object({ state: z.string() }),
  observed: z.object({ warnings: z.array(z.string()).default([]) }),
  actual: z.record(
    z.string(),
    z.object({ activeConnections: z.number(), inactiveConnections: z.number(), persistentConnections: z.number() }),
  ),
  drain: drain.optional(),
  traffic: z.object({ card: cardRate.nullable(), connections: z.record(z.string(), z.number()) }).nullish(),
});
export type RealServerDetail = z.infer<typeof realServerDetail>;

const poolDetail = z.object({
  well: z.boolean(),
  missing: z.array(z.string()),
  balance: z.string().optional(),
  capacity: capacity.optional(),
  vip: z.object({
    address: z.string(),
    reason: z.string(),
    /** Other hosts that answer for it. */
    claims: z.array(z.object({ reason: z.string() })).default([]),
  }),
  ports: z.record(
    z.string(),
    z.object({
      desired: z.object({ policy: z.string(), scheduler: z.string().optional() }),
      reason: z.string(),
      traffic: serviceRate.nullish(),
    }),
  ),
  realServers: z.record(z.string(), realServerDetail),
  leaving: z.array(drain.extend({ realServer: z.string().nullable(), address: z.string() })),
});
export type PoolDetail = z.infer<typeof poolDetail>;

/** GET /v1/status?pool=NAME */
export const detailSchema = z.object({ ...head, pools: z.record(z.string(), poolDetail) });

/** GET /v1/pools */
export const poolsSchema = z.object({
  revision: z.number(),
  pools: z.record(
    z.string(),
    z.object({
      vip: z.string(),
      ports: z.record(z.string(), z.object({ policy: z.string(), scheduler: z.string().optional() })),
      realServers: z.record(z.string(), z.object({ address: z.string(), weight: z.number(), state: z.string() })),
    }),
  ),
});
export type PoolsAnswer = z.infer<typeof poolsSchema>;

/** What every write answers. */
export const writeSchema = z.object({
  revision: z.number(),
  reconciled: z.boolean(),
  missing: z.array(z.string()),
  draining: z.array(z.string()),
});
export type WriteAnswer = z.infer<typeof writeSchema>;

/** POST /v1/plan */
export const planSchema = z.object({ steps: z.array(z.object({ host: z.string(), command: z.string() })) });

/** GET /v1/agents */
export const agentsSchema = z.object({
  agents: z.record(
    z.string(),
    z.object({
      addresses: z.array(z.string()),
      vips: z.record(z.string(), z.object({ present: z.boolean(), suppressed: z.boolean() })),
      problems: z.array(z.string()),
      revision: z.number(),
      lastReport: z.string().nullable(),
    }),
  ),
});
export type AgentsAnswer = z.infer<typeof agentsSchema>;

const time = z.string().nullable();

/** POST /v1/tokens */
export const madeSchema = z.object({ id: z.string(), token: z.string(), expires: time });

/** GET /v1/tokens */
export const tokensSchema = z.object({
  tokens: z.array(
    z.object({
      id: z.string(),
      role: z.string(),
      name: z.string(),
      machineId: z.string().optional(),
      created: time,
      expires: time,
      expired: z.boolean(),
    }),
  ),
});
export type TokensAnswer = z.infer<typeof tokensSchema>;

/** POST /v1/invitations */
export const invitationSchema = madeSchema.extend({
  agent: z.string(),
  urls: z.array(z.string()),
  caSha256: z.string(),
  command: z.string(),
});

/** GET /v1/audit */
const auditEntry = z.object({
  time: z.string(),
  who: z.string(),
  from: z.string().nullable(),
  what: z.string(),
  status: z.number(),
  reason: z.string().optional(),
});
export type AuditEntry = z.infer<typeof auditEntry>;
export const auditSchema = z.object({ entries: z.array(auditEntry) });

/** GET /v1/whoami */
export const whoamiSchema = z.object({ kind: z.string(), role: z.string().nullable(), name: z.string().nullable() });
export type Whoami = z.infer<typeof whoamiSchema>;

/** GET /v1/doctor */
export const doctorSchema = z.object({
  findings: z.array(
    z.object({
      check: z.string(),
      host: z.string(),
      level: z.enum(['ok', 'warning', 'problem', 'unknown']),
      what: z.string(),
      why: z.string(),
      fix: z.array(z.string()),
    }),
  ),
});
export type Findings = z.infer<typeof doctorSchema>['findings'];

/** POST /v1/explain */
export const explainSchema = z.object({
  answers: z.array(
    z.object({
      pool: z.string(),
      vip: z.string(),
      port: z.string(),
      policy: z.string(),
      engine: z.string().nullable(),
      to: z.string(),
      why: z.string(),
      way: z.string(),
      realServers: z.array(
        z.object({
          realServer: z.string(),
          address: z.string(),
          weight: z.number(),
          sharePercent: z.number(),
          reason: z.string(),
        }),
      ),
      notice: z.string().nullable(),
    }),
  ),
});
export type ExplainAnswer = z.infer<typeof explainSchema>;

/** DELETE /v1/pools/{pool}/cache */
export const purgeSchema = z.object({ revision: z.number(), purged: z.string(), waiting: z.array(z.string()) });
