import { z } from 'zod';
import { canonical, isAddress, notUnicast } from './core/address.ts';
import { some, whole } from './schema-parts.ts';

/** How a port's URL policy is written: which requests real servers answer, and by which engine they get there. */

/** Labels of at most 63 characters (RFC 1035 section 2.3.4), or an IPv4 address; without a port. */
const hostName = /^(?=.{1,253}$)[a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?(\.[a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?)*$/;
const hostSchema = z
  .string()
  .toLowerCase()
  // "_" alone is how a real server's web server calls a request without Host.
  .refine((text) => hostName.test(text) && text !== '_', {
    error: 'a host is a name without port, such as "img.example.com"',
  });

/** What stands in a path as it is, so that no web server's configuration can read it as anything else. */
const plainPath = /^\/[A-Za-z0-9._~@+,=()!&*:/-]*$/;
const isNormal = (path: string) => !/\/\/|\/\.\.?(\/|$)/.test(path);

export const targets = ['real-servers', 'director'] as const;
const targetSchema = z.enum(targets, { error: 'a request goes to "real-servers" or to the "director"' });

const matchSchema = z
  .strictObject({
    methods: some(
      'methods',
      20,
      z.string().regex(/^[A-Z]{1,20}$/, { error: 'a method is in capital letters, such as "GET"' }),
    ).optional(),
    /** Of the last part of the path, without the dot; in any case. */
    extensions: some(
      'extensions',
      100,
      z
        .string()
        .toLowerCase()
        .regex(/^[a-z0-9_-]{1,20}$/, { error: 'an extension is written without a dot, such as "jpg"' }),
    ).optional(),
    /** The decoded path begins with this text; a folder's ends with "/". */
    pathPrefix: z
      .string()
      .max(500, { error: 'a pathPrefix has at most 500 characters' })
      .regex(plainPath, {
        error:
          'a pathPrefix begins with "/", and has letters, digits and -._~@+,=()!&*: only, decoded, without a query',
      })
      .refine(isNormal, { error: 'a pathPrefix has no "//", "/./" or "/../"' })
      .optional(),
    host: hostSchema.optional(),
  })
  .refine((match) => Object.values(match).some((criterion) => criterion !== undefined), {
    error: 'a match has at least one of methods, extensions, pathPrefix and host; "otherwise" is for all the rest',
  });

const ruleSchema = z.strictObject({ match: matchSchema, to: targetSchema });

/** "192.0.2.10:8080" or "[2001:db8::10]:8080": what it splits into, or undefined. */
export function splitOrigin(text: string): { address: string; port: number } | undefined {
  const parts = /^(?:\[(?<v6>[0-9A-Fa-f:.]+)\]|(?<v4>[0-9.]+)):(?<port>[1-9]\d{0,4})$/.exec(text)?.groups;
  const address = parts?.v6 ?? parts?.v4 ?? '';
  const port = Number(parts?.port);
  return isAddress(address) && (parts?.v6 === undefined) === !address.includes(':') && port <= 65535
    ? { address: canonical(address), port }
    : undefined;
}

const originSchema = z.string().refine((text) => splitOrigin(text) !== undefined, {
  error: 'an address of the director with a port, such as "192.0.2.10:8080" or "[2001:db8::10]:8080"',
});

const edgeSchema = z.strictObject({
  /** Where the director's own web server takes what real servers do not answer: an address of its own, not the VIP. */
  origin: originSchema.refine((text) => notUnicast(splitOrigin(text)?.address ?? '0.0.0.0') === undefined, {
    error: 'an address that the real servers reach: not a loopback, link-local or multicast one',
  }),
  /** Of what each real server keeps of images that it did not have, MiB; 0 keeps none. */
  cacheMb: whole('cacheMb', 0, 10_000_000).default(1024),
  /** Clients speak TLS at this port; the certificate is in the agents' own config. */
  tls: z.boolean({ error: 'tls is true or false' }).default(false),
});

const handoffSchema = z.strictObject({
  /** Smaller answers are not worth a hand-off: the director gives them itself, bytes. */
  minBytes: whole('minBytes', 0, 2 ** 40).default(0),
  /** What a real server does with the next request on the connection when it is not its own. */
  keepAlive: z.enum(['proxy', 'hand-back'], { error: 'keepAlive is "proxy" or "hand-back"' }).default('proxy'),
  /** The director's own web server, which answers whatever is not handed over. */
  local: originSchema.default('127.0.0.1:8080'),
});

const redirectSchema = z.strictObject({
  code: z.union([z.literal(302), z.literal(307)], { error: 'code is 302 or 307' }).default(302),
  /** By real server: the name that clients are sent to, with a port if it is not the usual one. */
  hosts: z.record(
    z.string(),
    z.string().regex(/^[A-Za-z0-9._-]{1,253}(:[1-9]\d{0,4})?$/, {
      error: 'a host name with or without a port, such as "img1.example.com"',
    }),
  ),
  /** The director's own web server, which answers whatever is not redirected. */
  local: originSchema.default('127.0.0.1:8080'),
});

export const engines = ['edge', 'handoff', 'redirect'] as const;

/** What a URL policy has besides the settings of its service; `engine` says which of the last three counts. */
export const urlFields = {
  policy: z.literal('url'),
  /** The first that matches decides. */
  rules: some('rules', 100, ruleSchema),
  otherwise: targetSchema.default('director'),
  engine: z.enum(engines, { error: `the engines are ${engines.join(', ')}` }).default('edge'),
  /** url-hash: one path, one real server. */
  affinity: z.enum(['none', 'url-hash'], { error: 'affinity is "none" or "url-hash"' }).default('none'),
  edge: edgeSchema.optional(),
  handoff: handoffSchema.optional(),
  redirect: redirectSchema.optional(),
};

/** What the agent of a real server must know of a port with the engine "edge". */
export const edgePortSchema = z.object({
  rules: z.array(ruleSchema),
  otherwise: targetSchema,
  ...edgeSchema.shape,
  origin: originSchema,
  /** What of the cache counts no more: all that came before the generation; and by path, the last word first. */
  generation: z.number().int().default(0),
  purged: z.array(z.object({ path: z.string(), generation: z.number().int() })).default([]),
});
export type EdgePort = z.infer<typeof edgePortSchema>;

const urlObject = z.strictObject(urlFields);
export type UrlPolicy = z.infer<typeof urlObject>;
export type UrlMatch = z.infer<typeof matchSchema>;
export type UrlTarget = z.infer<typeof targetSchema>;

/** What is wrong with a URL policy as a whole, by field. */
export function urlFaults(policy: UrlPolicy): { path: (string | number)[]; message: string }[] {
  const faults: { path: (string | number)[]; message: string }[] = [];
  for (const engine of engines)
    if (engine !== policy.engine && policy[engine] !== undefined)
      faults.push({
        path: [engine],
        message: `these are settings of the engine "${engine}", and this port's engine is "${policy.engine}": leave them out, or change "engine"`,
      });
  if (policy.engine === 'edge') {
    if (policy.edge === undefined)
      faults.push({
        path: ['edge'],
        message:
          'the engine "edge" needs to know where the director\'s own web server answers: "edge": { "origin": "192.0.2.10:8080" }',
      });
    if (policy.affinity === 'url-hash')
      faults.push({
        path: ['affinity'],
        message:
          'the engine "edge" cannot send one path to one real server: IPVS picks the server before any URL is read. Take the engine "handoff" or "redirect", or affinity "none"',
      });
  }
  if (policy.engine === 'redirect' && policy.redirect === undefined)
    faults.push({
      path: ['redirect'],
      message:
        'the engine "redirect" needs a host name for each real server: "redirect": { "hosts": { "rs1": "img1.example.com" } }',
    });
  return faults;
}
