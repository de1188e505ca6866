import fc from 'fast-check';
import t from 'tap';
import { fieldErrors } from '../src/api/problems.ts';
import { type Check, checkSchema, plainCheck } from '../src/check-schema.ts';
import { type BalancedPort, checkOf, poolSchema } from '../src/schema.ts';
import { holds } from './property.ts';

/** "path: message" of every error, as the API tells them. */
function errors(value: unknown): string[] {
  const result = checkSchema.safeParse(value);
  return result.success ? [] : fieldErrors(result.error).map(({ path, message }) => `${path}: ${message}`);
}

const common = { intervalMs: 1000, timeoutMs: 500, rise: 2, fall: 3, jitterPercent: 10, refusedAtOnce: false };
const kinds = 'type is "tcp", "http", "https", "dns", "smtp", "imap", "pop3", "ftp", "udp" or "exec"';
const unknownField = 'there is no such field; take it out, or correct its name (GET /openapi.json lists them)';
const textHelp = 'write { "contains": "text" } or { "matches": "regular expression" }';
const bytesHelp = 'write { "text": "…" } or { "hex": "00ff…" }, at most 1400 bytes';
const replyHelp = 'write { "text": "…" }, { "hex": "00ff…" }, { "contains": "…" } or { "matches": "…" }';
const statusHelp = 'a status such as 200, or a range such as "200-299"';

t.test(
  'a check of each kind needs no more than what it cannot guess, and has the defaults of the design',
  async (t) => {
    for (const type of ['tcp', 'smtp', 'imap', 'pop3', 'ftp'] as const)
      t.strictSame(checkSchema.parse({ type }), { type, ...common });
    const http = { method: 'GET', path: '/', status: ['200-399'] };
    t.strictSame(checkSchema.parse({ type: 'http' }), { type: 'http', ...common, ...http });
    t.strictSame(checkSchema.parse({ type: 'https' }), { type: 'https', ...common, ...http, verify: true });
    t.strictSame(checkSchema.parse({ type: 'dns', name: 'example.com' }), {
      ...{ type: 'dns', ...common, name: 'example.com' },
      ...{ recordType: 'A', rcodes: ['NOERROR'] },
    });
    t.strictSame(checkSchema.parse({ type: 'udp', payload: { text: 'ping' } }), {
      type: 'udp',
      ...common,
      payload: { text: 'ping' },
    });
    t.strictSame(checkSchema.parse({ type: 'exec', program: 'look' }), { type: 'exec', ...common, program: 'look' });
  },
);

t.test('everything that a check may say is taken', async (t) => {
  for (const check of [
    {
      type: 'tcp',
      intervalMs: 50,
      timeoutMs: 1000,
      rise: 1,
      fall: 100,
      jitterPercent: 0,
      refusedAtOnce: true,
      port: 65_535,
    },
    {
      ...{
        type: 'https',
        method: 'GET',
        path: '/a?b=%20#c',
        host: 'www.example.com',
        sni: 'inner.example.com',
        verify: false,
      },
      ...{ status: [204, '200-299', '500-500'], header: { name: 'X-Health', value: { contains: 'yes' } } },
      ...{ body: { matches: '^(?i)ok\\s' }, ca: '-----BEGIN CERTIFICATE-----\nAA==\n-----END CERTIFICATE-----' },
    },
    { type: 'http', header: { name: 'x' }, body: { contains: 'ü' } },
    { type: 'http', method: 'HEAD', header: { name: 'X-Health', value: { matches: '^ok$' } } },
    {
      type: 'dns',
      name: '_sip._tcp.example.com.',
      recordType: 'SRV',
      transport: 'tcp',
      rcodes: ['NXDOMAIN'],
      answer: '192.0.2.7',
    },
    { type: 'udp', payload: { hex: '' }, reply: { hex: '00fF' } },
    { type: 'udp', payload: { text: 'é'.repeat(700) }, reply: { matches: '^pong' } },
  ])
    t.match(checkSchema.parse(check), check);
});

t.test('every mistake is told with the field’s path and what would be right', async (t) => {
  for (const [value, ...told] of [
    [null, `: ${kinds}`],
    [{}, `type: ${kinds}`],
    [{ type: 'icmp' }, `type: ${kinds}`],
    [{ type: 'tcp', path: '/' }, `path: ${unknownField}`],
    [{ type: 'http', sni: 'www.example.com' }, `sni: ${unknownField}`],
    [{ type: 'tcp', intervalMs: '1' }, 'intervalMs: intervalMs is a number, 50 to 3600000'],
    [{ type: 'tcp', intervalMs: 60.5 }, 'intervalMs: intervalMs is a whole number, 50 to 3600000'],
    [{ type: 'tcp', rise: 0, fall: 101 }, 'rise: rise is at least 1', 'fall: fall is at most 100'],
    [{ type: 'tcp', intervalMs: 50, timeoutMs: 1001 }, 'timeoutMs: timeoutMs is at most 20 times intervalMs'],
    [{ type: 'tcp', refusedAtOnce: 1 }, 'refusedAtOnce: true or false'],
    [{ type: 'tcp', port: 65_536 }, 'port: port is at most 65535'],
    [{ type: 'http', method: 'POST' }, 'method: method is "GET" or "HEAD"'],
    [{ type: 'http', path: 'x' }, 'path: path begins with "/" and has no spaces'],
    [{ type: 'http', path: '/a b' }, 'path: path begins with "/" and has no spaces'],
    [
      { type: 'http', path: '/\r\nHost: x' },
      'path: path is printable ASCII on one line',
      'path: path begins with "/" and has no spaces',
    ],
    [{ type: 'http', host: 'a b' }, 'host: host is a host name, such as "www.example.com"'],
    [{ type: 'http', status: 200 }, 'status: status is a list'],
    [{ type: 'http', status: [] }, 'status: status has at least one entry'],
    [{ type: 'http', status: Array(21).fill(200) }, 'status: status has at most 20 entries'],
    [
      { type: 'http', status: [200, 99, 600, 200.5, '200', null] },
      ...[1, 2, 3, 4, 5].map((i) => `status.${i}: ${statusHelp}`),
    ],
    [{ type: 'http', status: ['299-200'] }, 'status.0: a range begins with its lower end'],
    [{ type: 'http', header: { name: 'a:b' } }, 'header.name: header.name is the name of a header, such as "X-Health"'],
    [{ type: 'http', body: 'text' }, `body: ${textHelp}`],
    [{ type: 'http', body: { contains: 'a', matches: 'b' } }, `body: ${textHelp}`],
    [{ type: 'http', body: { contains: '' } }, 'body.contains: the text to look for is not empty'],
    [
      { type: 'http', body: { contains: 'x'.repeat(1001) } },
      'body.contains: the text to look for has at most 1000 characters',
    ],
    [
      { type: 'http', body: { matches: 'x'.repeat(501) } },
      'body.matches: a regular expression has at most 500 characters',
    ],
    [
      { type: 'http', method: 'HEAD', body: { contains: 'ok' } },
      'body: an answer to HEAD has no body: use GET, or leave "body" out',
    ],
    [
      { type: 'https', sni: '192.0.2.1' },
      'sni: sni is a name, not an address: without it the certificate must be for the VIP',
    ],
    [{ type: 'https', verify: 'yes' }, 'verify: true or false'],
    [{ type: 'https', ca: 'AA==' }, 'ca: a certificate in PEM'],
    [{ type: 'dns' }, 'name: it is missing; a string belongs here'],
    [{ type: 'dns', name: 'a b' }, 'name: name is a domain name, such as "example.com"'],
    [
      { type: 'dns', name: 'a', recordType: 'ANY' },
      'recordType: recordType is one of A, AAAA, CNAME, MX, NS, PTR, SOA, SRV, TXT',
    ],
    [{ type: 'dns', name: 'a', transport: 'sctp' }, 'transport: transport is one of udp, tcp'],
    [{ type: 'dns', name: 'a', rcodes: ['X'] }, 'rcodes.0: an rcode is one of NOERROR, NXDOMAIN, REFUSED, SERVFAIL'],
    [{ type: 'dns', name: 'a', answer: 'a\nb' }, 'answer: answer is printable ASCII on one line'],
    [{ type: 'udp' }, `payload: ${bytesHelp}`],
    [{ type: 'udp', payload: { hex: '0' } }, 'payload.hex: pairs of hexadecimal digits, such as "00ff"'],
    [{ type: 'udp', payload: { text: 'é'.repeat(701) } }, 'payload.text: at most 1400 bytes'],
    [{ type: 'udp', payload: { text: '' }, reply: 'pong' }, `reply: ${replyHelp}`],
    [
      { type: 'exec', program: '/bin/sh' },
      'program: the name of one of the "programs" in the controller\'s config file',
    ],
  ] as [unknown, ...string[]][])
    t.strictSame(errors(value), told, JSON.stringify(value)?.slice(0, 100));
});

t.test('a regular expression that could take for ever is none of RE2, and is refused with the reason', async (t) => {
  t.match(errors({ type: 'http', body: { matches: '(' } }), [
    /^body\.matches: not a regular expression of RE2: .*missing closing/,
  ]);
  for (const matches of ['(?=x)', '(a)\\1', '(?<!x)y'])
    t.match(errors({ type: 'http', body: { matches } }), [/^body\.matches: not a regular expression of RE2/], matches);
});

t.test('a TCP port is checked by its own check, or its pool’s, or a plain connection', async (t) => {
  const own = { policy: 'real-servers', check: { type: 'smtp' } };
  const of = (port: object, check?: object) => {
    const pool = poolSchema.parse({ vip: '192.0.2.100', ports: { '25/tcp': port }, check });
    return checkOf(pool, '25/tcp', pool.ports['25/tcp'] as BalancedPort)?.type;
  };
  t.equal(of(own, { type: 'http' }), 'smtp');
  t.equal(of({ policy: 'real-servers' }, { type: 'http' }), 'http');
  t.equal(of({ policy: 'real-servers' }), 'tcp');
  t.strictSame(plainCheck, { type: 'tcp', ...common });
});

t.test('a UDP port is checked by its own check, or by its pool’s when that can be meant for it', async (t) => {
  const of = (check?: object, own?: object) => {
    const port = { policy: 'real-servers', ...(own && { check: own }) };
    const pool = poolSchema.parse({ vip: '192.0.2.100', ports: { '53/udp': port }, check });
    return checkOf(pool, '53/udp', pool.ports['53/udp'] as BalancedPort)?.type;
  };
  t.equal(of(), undefined);
  t.equal(of({ type: 'http' }), undefined);
  t.equal(of({ type: 'http', port: 80 }), 'http');
  t.equal(of({ type: 'dns', name: 'example.com' }), 'dns');
  t.equal(of({ type: 'http' }, { type: 'tcp' }), 'tcp');
});

const wordArb = fc.oneof(
  fc.constantFrom(
    'tcp',
    'http',
    'https',
    'dns',
    'udp',
    'exec',
    '/',
    'example.com',
    'GET',
    '200-299',
    'a\r\nb',
    '(',
    '',
  ),
  fc.string(),
);
const valueArb = fc.oneof(
  wordArb,
  fc.integer(),
  fc.boolean(),
  fc.constant(null),
  fc.array(wordArb),
  fc.dictionary(fc.constantFrom('contains', 'matches', 'text', 'hex', 'name', 'value'), wordArb),
);
const draftArb = fc.record(
  {
    type: fc.constantFrom('tcp', 'http', 'https', 'dns', 'smtp', 'udp', 'exec'),
    ...Object.fromEntries(
      [
        'intervalMs',
        'timeoutMs',
        'port',
        'method',
        'path',
        'host',
        'status',
        'header',
        'body',
        'name',
        'payload',
        'reply',
        'program',
        'sni',
        'ca',
      ].map((field) => [field, valueArb]),
    ),
  },
  { requiredKeys: ['type'], noNullPrototype: true },
);

holds(
  t,
  'no junk is ever thrown at, what is taken is taken again as it is, and nothing in it ends a line of a protocol',
  fc.property(draftArb, (draft) => {
    const result = checkSchema.safeParse(draft);
    if (!result.success) return errors(draft).length > 0;
    const check: Check = result.data;
    const lines = ['path', 'host', 'sni', 'name', 'program', 'answer'].map(
      (field) => (check as Record<string, unknown>)[field],
    );
    return (
      JSON.stringify(checkSchema.parse(check)) === JSON.stringify(check) &&
      lines.every((line) => line === undefined || /^[\x20-\x7e]+$/.test(String(line)))
    );
  }),
  1000,
);
