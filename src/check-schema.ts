import { RE2JS } from 're2js';
import { z } from 'zod';
import { some, whole } from './schema-parts.ts';

/** How a check is written in a pool: of what kind, how often, and how many answers decide. */

/** Printable text for one line of a protocol: nothing that could end the line. */
const line = (what: string, max = 1000) =>
  z
    .string()
    .min(1, { error: `${what} is not empty` })
    .max(max, { error: `${what} has at most ${max} characters` })
    .regex(/^[\x20-\x7e]*$/, { error: `${what} is printable ASCII on one line` });

/** Labels of at most 63 characters (RFC 1035 section 2.3.4). */
const labels = /^[A-Za-z0-9_-]{1,63}(?:\.[A-Za-z0-9_-]{1,63})*$/;

const hostName = (what: string) =>
  line(what, 253).regex(/^[A-Za-z0-9_.:[\]-]+$/, { error: `${what} is a host name, such as "www.example.com"` });

/** RE2 syntax: its time grows with the text only, so that no answer can hold the prober up. */
const pattern = z
  .string()
  .min(1, { error: 'a regular expression is not empty' })
  .max(500, { error: 'a regular expression has at most 500 characters' })
  .superRefine((text, context) => {
    try {
      RE2JS.compile(text);
    } catch (error) {
      const message = `not a regular expression of RE2: ${(error as Error).message}`;
      context.addIssue({ code: 'custom', message });
    }
  });

const contains = z
  .string()
  .min(1, { error: 'the text to look for is not empty' })
  .max(1000, { error: 'the text to look for has at most 1000 characters' });

/** What a text must be like: it has a substring, or a regular expression finds something in it. */
const textMatch = z.union([z.strictObject({ contains }), z.strictObject({ matches: pattern })], {
  error: 'write { "contains": "text" } or { "matches": "regular expression" }',
});
export type TextMatch = z.infer<typeof textMatch>;

/** Bytes as text, or as hexadecimal digits. */
const bytes = z.union(
  [
    z.strictObject({
      text: z.string().refine((text) => new TextEncoder().encode(text).length <= 1400, { error: 'at most 1400 bytes' }),
    }),
    z.strictObject({
      hex: z
        .string()
        .max(2800, { error: 'at most 1400 bytes' })
        .regex(/^([0-9a-fA-F]{2})*$/, { error: 'pairs of hexadecimal digits, such as "00ff"' }),
    }),
  ],
  { error: 'write { "text": "…" } or { "hex": "00ff…" }, at most 1400 bytes' },
);
export type Bytes = z.infer<typeof bytes>;

const common = {
  /** Between the beginnings of two checks. */
  intervalMs: whole('intervalMs', 50, 3_600_000).default(1000),
  /** A check that takes longer has failed. */
  timeoutMs: whole('timeoutMs', 10, 60_000).default(500),
  /** Good answers in a row until the server counts as up. */
  rise: whole('rise', 1, 100).default(2),
  /** Failures in a row until it counts as down. */
  fall: whole('fall', 1, 100).default(3),
  /** Each interval is longer or shorter by up to this share of it, so that checks do not march in step. */
  jitterPercent: whole('jitterPercent', 0, 50).default(10),
  /** A refused connection counts at once, without waiting for `fall`. */
  refusedAtOnce: z.boolean({ error: 'true or false' }).default(false),
  /** Port to check, where it is not the one that is balanced. */
  port: whole('port', 1, 65_535).optional(),
};

const statusHelp = 'a status such as 200, or a range such as "200-299"';
const statusRange = z.union(
  [
    z.number().int({ error: statusHelp }).min(100, { error: statusHelp }).max(599, { error: statusHelp }),
    z
      .string()
      .regex(/^[1-5]\d\d-[1-5]\d\d$/, { error: statusHelp, abort: true })
      .refine((range) => range.slice(0, 3) <= range.slice(4), { error: 'a range begins with its lower end' }),
  ],
  { error: statusHelp },
);

const http = {
  ...common,
  method: z.enum(['GET', 'HEAD'], { error: 'method is "GET" or "HEAD"' }).default('GET'),
  path: line('path').regex(/^\/[^ ]*$/, { error: 'path begins with "/" and has no spaces' }).default('/'),
  /** Host header; default: the VIP. */
  host: hostName('host').optional(),
  status: some('status', 20, statusRange).default(['200-399']),
  header: z
    .strictObject({ name: line('header.name', 100).regex(/^[!#$%&'*+.^_`|~0-9A-Za-z-]+$/, { error: 'header.name is the name of a header, such as "X-Health"' }), value: textMatch.optional() })
    .optional(),
  /** Looked for in the first 64 KiB. */
  body: textMatch.optional(),
}; // biome-ignore format: short

const tls = {
  /** Name in the TLS handshake, which the certificate must be for; default: `host`. */
  sni: line('sni', 253)
    .regex(labels, { error: 'sni is a domain name, such as "www.example.com"' })
    .regex(/[^\d.]/, { error: 'sni is a name, not an address: without it the certificate must be for the VIP' })
    .optional(),
  /** Whether the certificate must be valid. */
  verify: z.boolean({ error: 'true or false' }).default(true),
  /** Certificates to trust besides the system's, PEM. */
  ca: z
    .string()
    .max(65_536)
    .regex(/-----BEGIN CERTIFICATE-----/, { error: 'a certificate in PEM' })
    .optional(),
};

const oneOf = <const T extends readonly string[]>(words: T, what: string) =>
  z.enum(words, { error: `${what} is one of ${words.join(', ')}` });

/** What a reply must be: exactly these bytes, or a text like that. */
const reply = z.union([bytes, textMatch], {
  error: 'write { "text": "…" }, { "hex": "00ff…" }, { "contains": "…" } or { "matches": "…" }',
});

const plain = <const T extends string>(type: T) => z.strictObject({ type: z.literal(type), ...common });

const kinds = [
  plain('tcp'),
  z.strictObject({ type: z.literal('http'), ...http }),
  z.strictObject({ type: z.literal('https'), ...http, ...tls }),
  z.strictObject({
    type: z.literal('dns'),
    ...common,
    /** Name to ask for. */
    name: line('name', 253).regex(/^(?:\.|[A-Za-z0-9_-]{1,63}(?:\.[A-Za-z0-9_-]{1,63})*\.?)$/, { error: 'name is a domain name, such as "example.com"' }),
    recordType: oneOf(['A', 'AAAA', 'CNAME', 'MX', 'NS', 'PTR', 'SOA', 'SRV', 'TXT'], 'recordType').default('A'),
    /** Default: the protocol of the port. */
    transport: oneOf(['udp', 'tcp'], 'transport').optional(),
    /** Response codes that are right. */
    rcodes: some('rcodes', 4, oneOf(['NOERROR', 'NXDOMAIN', 'REFUSED', 'SERVFAIL'], 'an rcode')).default(['NOERROR']),
    /** One record of the answer must have this as its text, such as "192.0.2.7". */
    answer: line('answer', 255).optional(),
  }),
  plain('smtp'),
  plain('imap'),
  plain('pop3'),
  plain('ftp'),
  z.strictObject({ type: z.literal('udp'), ...common, payload: bytes, reply: reply.optional() }),
  z.strictObject({
    type: z.literal('exec'),
    ...common,
    /** Name of a program of the setting "programs"; it gets the connected socket as its standard input and output. */
    program: line('program', 63).regex(/^[a-z0-9][a-z0-9-]*$/, { error: 'the name of one of the "programs" in the controller\'s config file' }),
  }),
] as const; // biome-ignore format: short

export const checkSchema = z
  .discriminatedUnion('type', kinds, {
    error: 'type is "tcp", "http", "https", "dns", "smtp", "imap", "pop3", "ftp", "udp" or "exec"',
  })
  .refine((check) => check.timeoutMs <= 20 * check.intervalMs, {
    path: ['timeoutMs'],
    error: 'timeoutMs is at most 20 times intervalMs',
  })
  .refine((check) => !('method' in check && check.method === 'HEAD' && check.body), {
    path: ['body'],
    error: 'an answer to HEAD has no body: use GET, or leave "body" out',
  });

export type Check = z.infer<typeof checkSchema>;

/** What a port is checked with when its pool says nothing. */
export const plainCheck: Check = checkSchema.parse({ type: 'tcp' });
