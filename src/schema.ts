import { z } from 'zod';
import { type Check, checkSchema, plainCheck } from './check-schema.ts';
import { canonical, familyOf, hostPrefix, isAddress, notUnicast } from './core/address.ts';
import { whole } from './schema-parts.ts';
import { edgePortSchema, splitOrigin, urlFaults, urlFields } from './url-schema.ts';

/** IPVS schedulers of the stock kernel (net/netfilter/ipvs/Kconfig). */
export const schedulers = [
  'rr', 'wrr', 'lc', 'wlc', 'fo', 'ovf', 'lblc', 'lblcr', 'dh', 'sh', 'mh', 'sed', 'nq', 'twos',
] as const; // biome-ignore format: a list

/** Scheduler flags as ipvsadm spells them (`ipvsadm --sched-flags`), and the three bits they stand for. */
export const schedulerFlags = [
  'sh-fallback', 'sh-port', 'mh-fallback', 'mh-port', 'flag-1', 'flag-2', 'flag-3',
] as const; // biome-ignore format: a list

const label = /^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$/;
const nameHelp = 'a name is a DNS label: lower-case letters, digits and hyphens, at most 63, such as "rs1"';
export const nameSchema = z.string().regex(label, { error: nameHelp });

const addressSchema = z
  .string()
  .refine(isAddress, { error: 'not an IP address; write it like 192.0.2.100 or 2001:db8::100', abort: true })
  .refine((a) => notUnicast(a) === undefined, {
    error: (issue) => `${notUnicast(String(issue.input))} cannot be used here; take an address of the local network`,
  })
  .overwrite(canonical);

const u32 = 0xffff_ffff;
const noCheck = z
  .never({ error: 'a port with policy "director" is checked by looking for its listener; leave "check" out' })
  .optional();

const portKey = z.string().regex(/^[1-9]\d{0,4}\/(tcp|udp)$/, { error: 'a port is written like "80/tcp" or "53/udp"' })
  .refine((key) => Number.parseInt(key, 10) <= 65535, { error: 'a port is 1 to 65535' }); // biome-ignore format: short

/** Those whose choice follows weights closely enough for weights by headroom (infra/simulation compares them). */
const headroomSchedulers: readonly string[] = ['wlc', 'sed', 'nq'];

/** Of an IPVS service. */
const serviceFields = {
  scheduler: z.enum(schedulers, { error: `the schedulers are ${schedulers.join(', ')}` }).default('wlc'),
  schedulerFlags: z
    .array(z.enum(schedulerFlags, { error: `the scheduler flags are ${schedulerFlags.join(', ')}` }))
    .max(3)
    .optional(),
  persistenceSeconds: whole('persistenceSeconds', 1, 2_678_400).optional(),
  persistenceNetmask: z
    .union(
      [
        z.string().refine((text) => maskLength(text) !== undefined, { abort: true }),
        whole('persistenceNetmask', 1, 128),
      ],
      {
        error: 'a netmask such as "255.255.255.0" (IPv4), or a prefix length such as 64',
      },
    )
    .optional(),
  onePacket: z.boolean().optional(),
  check: checkSchema.optional(),
};

const realServersPort = z.strictObject({ policy: z.literal('real-servers'), ...serviceFields });

const urlPort = z.strictObject({ ...urlFields, ...serviceFields }).superRefine((port, context) => {
  for (const { path, message } of urlFaults(port)) context.addIssue({ code: 'custom', path, message });
});

const directorPort = z.strictObject({ policy: z.literal('director'), check: noCheck });

export const portSchema = z.discriminatedUnion('policy', [realServersPort, directorPort, urlPort], {
  error: 'policy is "real-servers", "director" or "url"',
});

export const realServerSchema = z
  .strictObject({
    address: addressSchema,
    weight: whole('weight', 0, 65535).default(100),
    state: z
      .enum(['active', 'drain', 'maintenance'], { error: 'state is "active", "drain" or "maintenance"' })
      .default('active'),
    upperThreshold: whole('upperThreshold', 0, u32).optional(),
    lowerThreshold: whole('lowerThreshold', 0, u32).optional(),
  })
  .refine((s) => (s.lowerThreshold ?? 0) <= (s.upperThreshold ?? 0), {
    path: ['lowerThreshold'],
    error: 'lowerThreshold is at most upperThreshold',
  });

export const realServersSchema = z.record(nameSchema, realServerSchema);

export const poolSchema = z
  .strictObject({
    vip: addressSchema,
    ports: z.record(portKey, portSchema).refine((p) => Object.keys(p).length > 0, {
      error: 'a pool has at least one port, such as "80/tcp": { "policy": "real-servers" }',
    }),
    realServers: realServersSchema.default({}),
    /** How every balanced port is checked that has no check of its own; tcp without it. */
    check: checkSchema.optional(),
    /** required: a real server without an agent gets no weight. */
    attestation: z
      .enum(['required', 'optional'], { error: 'attestation is "required" or "optional"' })
      .default('required'),
    agentTimeoutMs: whole('agentTimeoutMs', 1000, 3_600_000).default(5000),
    /** A real server that comes in reaches its weight after this long. */
    slowStartMs: whole('slowStartMs', 0, 3_600_000).default(0),
    /** weights: shares as configured. headroom: so that every card is as full as its weight says, by the agents' reports. */
    balance: z.enum(['weights', 'headroom'], { error: 'balance is "weights" or "headroom"' }).default('weights'),
    /** Doubtful failures take out at most this share of a port's real servers, and at least one. */
    maxEjectedPercent: whole('maxEjectedPercent', 0, 100).default(50),
    /** Who answers when no real server is left. */
    fallback: z
      .enum(['refuse', 'director', 'keep'], { error: 'fallback is "refuse", "director" or "keep"' })
      .default('refuse'),
  })
  .superRefine((pool, context) => {
    const problem = (path: string[], message: string) => context.addIssue({ code: 'custom', path, message });
    const balanced = Object.values(pool.ports).filter(isBalanced);
    if (pool.balance === 'headroom' && balanced.length > 0 && balanced.every(isRedirected))
      problem(
        ['balance'],
        'balance "headroom" goes by the cards of hosts that have the VIP: where all ports redirect clients to real servers by name, use "weights"',
      );
    const family = familyOf(pool.vip);
    const seen = new Map<string, string>();
    for (const [name, server] of Object.entries(pool.realServers)) {
      const path = ['realServers', name, 'address'];
      if (familyOf(server.address) !== family)
        problem(path, `the VIP is ${family}, so is every real server's address of this pool; dual stack is two pools`);
      if (server.address === pool.vip) problem(path, "a real server's own address differs from the VIP");
      const other = seen.get(server.address);
      if (other) problem(path, `"${other}" of this pool has the same address; each real server has its own`);
      seen.set(server.address, name);
    }
    for (const [key, port] of Object.entries(pool.ports)) {
      if (!isBalanced(port)) continue;
      const path = (...fields: string[]) => ['ports', key, ...fields];
      if (port.policy === 'url') {
        if (!key.endsWith('/tcp')) problem(path('policy'), 'a URL policy is for TCP ports only');
        const origin = splitOrigin(port.edge?.origin ?? '')?.address;
        if (origin === pool.vip)
          problem(
            path('edge', 'origin'),
            "the origin is the director's own address: the VIP is every real server's too",
          );
        if (origin !== undefined && Object.values(pool.realServers).some(({ address }) => address === origin))
          problem(path('edge', 'origin'), "the origin is the director's own address, not a real server's");
      }
      if (pool.balance === 'headroom' && !headroomSchedulers.includes(port.scheduler))
        problem(
          path('scheduler'),
          `with balance "headroom" the scheduler is ${headroomSchedulers.join(', ')}: ${port.scheduler} does not follow the weights from connection to connection`,
        );
      if (pool.balance === 'headroom' && port.policy === 'url' && port.affinity === 'url-hash')
        problem(
          path('affinity'),
          'with balance "headroom" affinity is "none": shares move from second to second, and paths would move with them from server to server',
        );
      if (port.onePacket && !key.endsWith('/udp')) problem(path('onePacket'), 'onePacket is for UDP ports only');
      for (const flag of port.schedulerFlags ?? [])
        if (!flag.startsWith('flag-') && !flag.startsWith(`${port.scheduler}-`))
          problem(
            path('schedulerFlags'),
            `${flag} belongs to the scheduler ${flag.slice(0, 2)}, not to ${port.scheduler}`,
          );
      if (port.persistenceNetmask === undefined) continue;
      if (port.persistenceSeconds === undefined)
        problem(path('persistenceNetmask'), 'persistenceNetmask goes with persistenceSeconds');
      if (
        (maskLength(port.persistenceNetmask) ?? 0) > hostPrefix(pool.vip) ||
        (family === 'ipv6' && typeof port.persistenceNetmask === 'string')
      )
        problem(
          path('persistenceNetmask'),
          family === 'ipv4' ? 'a netmask or a prefix length of 1 to 32' : 'a prefix length of 1 to 128',
        );
    }
  });

/** Whether real servers answer at this port, all of it or some: they are checked, and have weights. */
export function isBalanced(port: Port): port is BalancedPort {
  return port.policy !== 'director';
}

/** Whether clients are sent to real servers by their own names: these need no VIP, and may be in other networks. */
export const isRedirected = (port: Port): boolean => port.policy === 'url' && port.engine === 'redirect';

/** Whether every connection of this port goes to a real server, by IPVS. */
export function isForwarded(port: Port): port is BalancedPort {
  return port.policy === 'real-servers' || (port.policy === 'url' && port.engine === 'edge');
}

/** Prefix length of "255.255.255.0" or of a number; undefined when the mask has holes or is 0. */
export function maskLength(mask: string | number): number | undefined {
  if (typeof mask === 'number') return mask;
  if (mask.includes(':') || !isAddress(mask)) return undefined;
  const bits = mask.split('.').reduce((sum, part) => sum * 256 + Number(part), 0);
  const length = bits.toString(2).indexOf('0');
  const ones = length === -1 ? 32 : length;
  return ones > 0 && bits === 2 ** 32 - 2 ** (32 - ones) ? ones : undefined;
}

export const poolsSchema = z.record(nameSchema, poolSchema);
/** What `GET /v1/pools` answers, and what plan, export and apply take. `revision` is ignored on the way in. */
export const poolsDocumentSchema = z.strictObject({ revision: z.number().int().optional(), pools: poolsSchema });

export type RealServer = z.infer<typeof realServerSchema>;
type Port = z.infer<typeof portSchema>;
export type UrlPort = z.infer<typeof urlPort>;
export type BalancedPort = z.infer<typeof realServersPort> | UrlPort;
export type Pool = z.infer<typeof poolSchema>;
export type Pools = z.infer<typeof poolsSchema>;

/**
 * The check of a balanced port: its own, the pool's, or a TCP connection. Undefined for a UDP port that nobody wrote a
 * check for: the pool's is for it only when it speaks UDP, runs a program or names its port.
 */
export function checkOf(pool: Pool, key: string, port: BalancedPort): Check | undefined {
  if (port.check) return port.check;
  const fits = (check: Check) => check.port !== undefined || ['udp', 'dns', 'exec'].includes(check.type);
  if (key.endsWith('/udp')) return pool.check && fits(pool.check) ? pool.check : undefined;
  return pool.check ?? plainCheck;
}

/** What an agent says of one VIP on its host. */
const vipReport = z.object({
  /** The VIP is on lo. */
  present: z.boolean(),
  /** arp_ignore and arp_announce keep this host from answering for it (always true of IPv6). */
  suppressed: z.boolean(),
  /** Why it is not fit, in words. */
  problem: z.string().max(500).optional(),
  /** What listens, by port of the pools, such as "80/tcp". */
  listening: z.record(z.string().max(20), z.enum(['vip', 'own-address-only', 'nothing'])).optional(),
  /** Why this host would drop what clients or the prober send to the VIP, in words. */
  unreachable: z.string().max(500).optional(),
  /** Of ports with the engine "edge", such as "80/tcp". */
  edge: z
    .record(
      z.string().max(20),
      z.object({
        /** The host's web server answers by rules of a pool, if perhaps by older ones. */
        serving: z.boolean(),
        /** Why it does not answer by the present ones, in words. */
        problem: z.string().max(500).optional(),
        /** Why what it passes on gets no answer from the director, in words. */
        originProblem: z.string().max(500).optional(),
        /** Of the certificate that clients are shown, RFC 3339. */
        certificateExpires: z.string().max(40).optional(),
      }),
    )
    .optional(),
  /** What may go wrong one day, in words; takes nothing out of service. */
  warnings: z.array(z.string().max(500)).max(100).optional(),
});

const count = z.number().int().min(0);

/** A network card as its host's kernel counts it, since the card came up (struct rtnl_link_stats64, linux/if_link.h). */
export const cardSchema = z.object({
  interface: z.string().min(1).max(15),
  /** Ethernet address such as 02:00:00:00:00:01. */
  mac: z.string().max(17),
  /** In each direction, Mbit/s; null where the card does not say and nobody has configured it. */
  speedMbit: z.number().positive().nullable(),
  rxBytes: count,
  txBytes: count,
  rxPackets: count,
  txPackets: count,
  /** Errors and drops. */
  rxLost: count,
  txLost: count,
  /** When they were read, by a clock of the host that only grows, milliseconds. */
  at: z.number().min(0),
});

const words = z.string().max(1000);
/** What a check of a host came to; see core/doctor. */
export const findingSchema = z.object({
  check: z.string().max(50),
  level: z.enum(['ok', 'warning', 'problem', 'unknown']),
  what: words,
  why: words,
  fix: z.array(words).max(20),
});

/** An agent of the next version may say more: what is not known here is left out, not refused. */
export const reportSchema = z.object({
  protocol: z.literal(1, { error: 'this controller speaks agent protocol 1; install the same version on both' }),
  machineId: z.string().min(1).max(128),
  bootId: z.string().min(1).max(128),
  /** Revision of the desired state that this host has applied; 0 before the first. */
  revision: z.number().int().min(0),
  addresses: z.array(z.string().refine(isAddress).overwrite(canonical)).max(4096),
  vips: z.record(z.string().refine(isAddress).overwrite(canonical), vipReport),
  /** What the agent found wrong or refused, in words. */
  problems: z.array(z.string().max(500)).max(100).default([]),
  /** The host is about to shut down: no new connections. */
  leaving: z.boolean().optional(),
  /** Of the interface that carries the host's address, bytes. */
  mtu: z.number().int().min(0).max(1_000_000).optional(),
  /** The host's own clock, milliseconds since the epoch. */
  clock: z.number().int().optional(),
  /** By which replies leave; the Ethernet address is of the interface that carries the host's address. */
  card: cardSchema.optional(),
  /** Established connections by VIP and port, such as { "192.0.2.100": { "80/tcp": 12 } }. */
  connections: z.record(z.string().refine(isAddress), z.record(z.string().max(20), count)).optional(),
  /** What its doctor found; sent now and then. */
  doctor: z
    .object({
      gateways: z.array(z.string().refine(isAddress)).max(100),
      findings: z.array(findingSchema).max(50),
    })
    .optional(),
});
export type Report = z.infer<typeof reportSchema>;
export type VipReport = z.infer<typeof vipReport>;

/** What the controller answers to a report. */
export const reportAnswerSchema = z.object({
  revision: z.number().int(),
  /** Destinations of this host that take new connections. */
  serving: z.number().int().default(0),
  /** Connections that the director counts to this host. */
  connections: z.number().int().default(0),
});
export type ReportAnswer = z.infer<typeof reportAnswerSchema>;

const anAddress = z.string().refine(isAddress);

export const agentDesiredSchema = z.object({
  revision: z.number().int(),
  vips: z.array(
    z.object({
      vip: anAddress,
      /** The real server's own address in the pools of this VIP. */
      address: anAddress,
      ports: z.array(z.string()),
      /** Those whose engine is "edge". */
      edge: z.record(z.string(), edgePortSchema).optional(),
    }),
  ),
  /** Addresses that probes come from: each host must be able to answer them directly. */
  probers: z.array(anAddress).default([]),
  /** Ports of its VIPs whose connections the front hands over. */
  handoff: z
    .object({
      /** The secret that it and the front know each other by. */
      key: z.string(),
      ports: z.array(z.object({ vip: anAddress, port: z.number().int(), policy: z.object(urlFields) })),
    })
    .optional(),
});
export type AgentDesired = z.infer<typeof agentDesiredSchema>;

export const eventSchema = z.object({
  id: z.number().int(),
  /** RFC 3339, UTC. */
  time: z.string(),
  type: z.string(),
  message: z.string(),
  pool: z.string().optional(),
  realServer: z.string().optional(),
  vip: z.string().optional(),
  agent: z.string().optional(),
});
export type Event = z.infer<typeof eventSchema>;

/** RFC 9457, with the stable `code`, and each wrong field's path and what would be right. */
export const problemSchema = z.object({
  type: z.string(),
  title: z.string(),
  status: z.number().int(),
  code: z.string(),
  detail: z.string(),
  /** Dotted path of the first wrong field, when the fault is in the body. */
  path: z.string().optional(),
  errors: z.array(z.object({ path: z.string(), message: z.string() })).optional(),
});
export type Problem = z.infer<typeof problemSchema>;
