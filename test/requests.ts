import fc from 'fast-check';
import { poolsArb, realServerNames } from './arbitraries.ts';

/** Requests to the API, from right ones to noise. */
export interface Request {
  method: string;
  url: string;
  headers: Record<string, string>;
  body: string | Uint8Array | undefined;
}

/** A method at a path such as /v1/pools/{pool}. */
export interface Operation {
  method: string;
  path: string;
}

type Json = Record<string, unknown>;

const common = fc.record(
  {
    intervalMs: fc.constantFrom(50, 1000),
    timeoutMs: fc.constantFrom(10, 500),
    rise: fc.integer({ min: 1, max: 100 }),
    fall: fc.integer({ min: 1, max: 100 }),
    jitterPercent: fc.nat(50),
    refusedAtOnce: fc.boolean(),
    port: fc.constantFrom(53, 80, 8080),
  },
  { requiredKeys: [] },
);
const http = {
  path: '/healthz',
  method: 'GET',
  host: 'www.example.com',
  status: [200, '300-399'],
  header: { name: 'x-ok', value: { contains: 'yes' } },
  body: { matches: 'o+k' },
};
/** One check of each kind, with fields of its own. */
const checkArb = fc
  .tuple(
    fc.constantFrom<Json>(
      { type: 'tcp' },
      { type: 'http', ...http },
      { type: 'http', method: 'HEAD' },
      { type: 'https', ...http, sni: 'www.example.com', verify: false },
      { type: 'dns', name: 'example.com', recordType: 'AAAA', transport: 'tcp', rcodes: ['NXDOMAIN'], answer: '::1' },
      { type: 'dns', name: '.' },
      ...['smtp', 'imap', 'pop3', 'ftp'].map((type) => ({ type })),
      { type: 'udp', payload: { hex: '00ff' }, reply: { text: 'pong' } },
      { type: 'exec', program: 'look' },
    ),
    common,
  )
  .map(([kind, rest]) => ({ ...kind, ...rest }));

/** The first value, and one in ten times one of the others. */
const mostly = <T>(usual: T, ...odd: T[]) =>
  fc.oneof({ weight: 9, arbitrary: fc.constant(usual) }, { weight: 1, arbitrary: fc.constantFrom(...odd) });
const sometimes = <T>(value: fc.Arbitrary<T>) => fc.option(value, { nil: undefined, freq: 2 });

const poolFields = (ejection: boolean) =>
  fc.record({
    check: sometimes(checkArb),
    portCheck: sometimes(checkArb),
    attestation: fc.constantFrom(undefined, 'required', 'required', 'optional'),
    agentTimeoutMs: fc.constantFrom(undefined, 1000, 60_000),
    slowStartMs: fc.constantFrom(undefined, 0, 0, 100, 60_000),
    maxEjectedPercent: ejection ? fc.constantFrom(undefined, 0, 34, 50, 100) : fc.constant(100),
    fallback: ejection ? fc.constantFrom(undefined, 'refuse', 'director', 'keep') : fc.constant('refuse'),
  });

/**
 * Right pools with checks of every kind.
 *
 * @param ejection whether they have limits on ejections and fallbacks too
 */
export const documentArb = (ejection: boolean): fc.Arbitrary<Json> =>
  fc.tuple(poolsArb, fc.array(poolFields(ejection), { minLength: 4, maxLength: 4 })).map(([pools, fields]) =>
    plain(
      Object.fromEntries(
        Object.entries(pools).map(([name, pool], i) => {
          const { portCheck, ...more } = fields[i] ?? {};
          const ports = Object.entries(pool.ports).map(([key, port]) => [
            key,
            { ...port, ...(port.policy === 'real-servers' && { check: portCheck }) },
          ]);
          return [name, { ...pool, ...more, ports: Object.fromEntries(ports) }];
        }),
      ),
    ),
  );

const plain = (value: unknown): Json => JSON.parse(JSON.stringify(value));

const nested = (depth: number): unknown => JSON.parse(`${'{"a":'.repeat(depth)}1${'}'.repeat(depth)}`);
const oddValues = [
  null, true, -1, 0, 1, 65_535, 65_536, 1.5, 1e308, -1e308, 2 ** 53, '', ' ', '80/tcp', '0/tcp', '99999/udp', 'active',
  'drain', 'optional', 'director', 'keep', '192.0.2.100', '192.0.2.1', '192.0.2.12', '010.0.0.1', '::', '2001:DB8:0::100',
  '::ffff:192.0.2.100', 'fe80::1%eth0', 'x'.repeat(70_000), '\u0000', '\ud800', '💾', [], [[]], {}, [null], nested(50),
]; // biome-ignore format: a list
const oddKeys = [
  '__proto__', 'constructor', 'prototype', 'toString', 'hasOwnProperty', '', '0', 'length', 'a.b', 'rs1', 'web', '80/tcp',
  '80/udp', '0/tcp', 'check', 'state', 'weight', 'port', 'upperThreshold', 'lowerThreshold', 'fallback', 'leaving', '\u0000',
]; // biome-ignore format: a list

interface Change {
  where: number;
  how: 'remove' | 'replace' | 'add' | 'copy';
  key: string;
  value: unknown;
}
const changeArb: fc.Arbitrary<Change> = fc.record({
  where: fc.nat(),
  how: fc.constantFrom('remove', 'replace', 'add', 'copy'),
  key: fc.oneof({ weight: 5, arbitrary: fc.constantFrom(...oddKeys) }, fc.string()),
  value: fc.oneof({ weight: 5, arbitrary: fc.constantFrom<unknown>(...oddValues) }, fc.jsonValue(), checkArb),
});

/** The places of a document, at every depth: each an object or array, and a key of it. */
function placesOf(value: unknown, places: [Json, string][] = []): [Json, string][] {
  if (typeof value === 'object' && value !== null)
    for (const [key, inner] of Object.entries(value)) {
      places.push([value as Json, key]);
      placesOf(inner, places);
    }
  return places;
}

/** As JSON.parse does it, for which "__proto__" is a key like others. */
const put = (into: Json, key: string, value: unknown) =>
  Array.isArray(into)
    ? into.push(value)
    : Object.defineProperty(into, key, { value, enumerable: true, configurable: true, writable: true });

function changed(document: unknown, changes: readonly Change[]): unknown {
  const whole = structuredClone({ document });
  for (const { where, how, key, value } of changes) {
    const places = placesOf(whole.document);
    const at = places[where % Math.max(1, places.length)];
    if (!at) return value;
    const [into, field] = at;
    const [, other = ''] = places[(where * 7) % places.length] ?? [];
    if (how === 'remove') delete into[field];
    else if (how === 'replace') put(into, field, structuredClone(value));
    else if (how === 'add') put(into, key, structuredClone(value));
    else if (!JSON.stringify(into[field]).includes(`"${other}"`)) put(into, other, structuredClone(into[field]));
  }
  return whole.document;
}

const mutated = (document: fc.Arbitrary<unknown>) =>
  fc.oneof(
    { weight: 2, arbitrary: document },
    {
      weight: 3,
      arbitrary: fc
        .tuple(document, fc.array(changeArb, { minLength: 1, maxLength: 3 }))
        .map(([value, by]) => changed(value, by)),
    },
  );

const reportVip = fc.record(
  {
    present: mostly(true, false),
    suppressed: mostly(true, false),
    problem: fc.constant('a reason'),
    listening: fc.dictionary(
      fc.constantFrom('53/tcp', '53/udp', '80/tcp', '80/udp', '443/tcp', 'constructor'),
      mostly('vip', 'own-address-only', 'nothing'),
      { maxKeys: 3 },
    ),
    unreachable: mostly('', 'rp_filter is strict'),
    warnings: fc.array(fc.string({ maxLength: 5 }), { maxLength: 2 }),
  },
  { requiredKeys: ['present', 'suppressed'] },
);
const vips = ['192.0.2.100', '192.0.2.101', '2001:db8::100', '2001:db8::101'];

/** Nearly every agent speaks for the address that most pools give its name. */
const reportArb = (name: string) =>
  fc.record(
    {
      protocol: fc.constant(1),
      machineId: mostly('m', 'other'),
      bootId: fc.constantFrom('b', 'c'),
      revision: fc.nat(99),
      addresses: mostly(...addressesOf(name)),
      vips: fc.oneof(
        { weight: 2, arbitrary: fc.record(Object.fromEntries(vips.map((vip) => [vip, reportVip]))) },
        fc.dictionary(fc.constantFrom(...vips, '2001:DB8::100', '198.51.100.7'), reportVip),
      ),
      problems: fc.array(fc.string({ maxLength: 10 }), { maxLength: 2 }),
      leaving: mostly(false, true),
      mtu: fc.constantFrom(0, 1280, 1500, 1_000_000),
      clock: fc.oneof(fc.maxSafeInteger(), fc.constantFrom(0, -1, 8.64e15, -8.64e15)),
    },
    { requiredKeys: ['protocol', 'machineId', 'bootId', 'revision', 'addresses', 'vips'] },
  );

function addressesOf(name: string): [string[], ...string[][]] {
  const at = 11 + Math.max(0, realServerNames.indexOf(name as 'rs1'));
  const right = [`192.0.2.${at}`, `2001:db8::${at}`];
  return [right, [...right, '192.0.2.1', '2001:DB8:0::14'], ['192.0.2.16'], []];
}

export const agentNames = [...realServerNames, 'stranger'] as const;

/** What agents of these names say, each for one of two machines. */
export const reportRequestArb = (names: readonly string[]): fc.Arbitrary<Request> =>
  fc
    .constantFrom(...names)
    .chain((name) =>
      fc
        .oneof({ weight: 3, arbitrary: reportArb(name) }, { weight: 1, arbitrary: mutated(reportArb(name)) })
        .map((report) => requestOf('POST', `/v1/agents/${name}/report`, JSON.stringify(report))),
    );

function requestOf(method: string, url: string, body: Request['body'], headers: Request['headers'] = {}): Request {
  const type = method === 'PATCH' ? 'application/merge-patch+json' : 'application/json';
  return { method, url, body, headers: body === undefined ? headers : { 'content-type': type, ...headers } };
}

const oddSegments = ['__proto__', 'constructor', 'toString', '%zz', '%00', '..', '%2e%2e', 'A', 'a%2Fb', 'x'.repeat(300), '%F0%9F%92%BE', '']; // biome-ignore format: a list
const segmentOf: Record<string, fc.Arbitrary<string>> = {
  pool: fc.constantFrom('web', 'web', 'img', 'dns', 'constructor', 'other'),
  name: fc.constantFrom(...agentNames),
};
const segmentArb = (parameter: string) =>
  fc.oneof(
    { weight: 9, arbitrary: segmentOf[parameter] ?? fc.constant('x') },
    { weight: 1, arbitrary: fc.constantFrom(...oddSegments) },
  );

// A request must not wait for long: no number of milliseconds above this, however it is spelled.
const waits = ['0', '1', '2', '', '-1', '1.5', 'x', '60001', '1e400', '%00', '0x2'];
const queryArb = fc
  .oneof(
    { weight: 4, arbitrary: fc.constant('') },
    {
      weight: 1,
      arbitrary: fc
        .uniqueArray(
          fc.tuple(
            fc.constantFrom('waitMs', 'drainMs', 'revision', 'pool', 'after', 'x', '__proto__', 'waitMs[]'),
            fc.constantFrom(...waits, ...waits),
          ),
          { maxLength: 3, selector: ([key]) => key },
        )
        .map((pairs) => pairs.map(([key, value]) => `${key}=${value}`)),
    },
    {
      weight: 1,
      arbitrary: fc.constantFrom(['pool=web'], ['pool=img'], ['drainMs=0'], ['drainMs=1'], ['drainMs=86400000']),
    },
  )
  .map((pairs) => (pairs === '' ? [] : [...pairs]));

const headersArb: fc.Arbitrary<Record<string, string>> = fc.oneof(
  { weight: 5, arbitrary: fc.constant({}) },
  {
    weight: 1,
    arbitrary: fc.dictionary(
      fc.constantFrom('if-match', 'if-none-match', 'last-event-id', 'accept'),
      fc.constantFrom('*', '"1"', '1', '"0", "3"', 'W/"2"', '', 'application/json', '9'.repeat(400), '"', 'NaN'),
      { noNullPrototype: true },
    ),
  },
);

const contentTypes = [
  'application/json', 'application/merge-patch+json', 'application/json; charset=utf-8', 'application/json;charset=latin1',
  'text/plain', 'application/octet-stream', 'multipart/form-data', 'multipart/form-data; boundary=x',
  'application/x-www-form-urlencoded', '', '/', 'application/json, text/plain', 'application/json;', 'x'.repeat(200),
]; // biome-ignore format: a list
const texts = [
  '', ' ', 'null', '{', '[]', '"', '{}', '0', 'NaN', '{"__proto__":{"vip":1}}', '{"constructor":{"prototype":{}}}',
  '{"vip":"192.0.2.100","vip":null}', '\ufeff{}', '['.repeat(50_000), `${'{"a":'.repeat(20_000)}1${'}'.repeat(20_000)}`,
  `${'['.repeat(5000)}${']'.repeat(5000)}`, '1e999', '{"pools":{"web":1e999}}', `"${'x'.repeat(1_048_577)}"`,
]; // biome-ignore format: a list
const noiseArb = fc.oneof(
  { weight: 20, arbitrary: fc.constantFrom<string | Uint8Array>(...texts.slice(0, -1)) },
  { weight: 20, arbitrary: fc.string() },
  { weight: 20, arbitrary: fc.uint8Array({ maxLength: 200 }) },
  { weight: 20, arbitrary: fc.json() },
  { weight: 1, arbitrary: fc.constant(texts.at(-1) ?? '') },
);

/** The part of a document of pools that a path takes. */
function partOf(document: Json, path: string, pick: number): unknown {
  if (path === '/v1/pools' || path === '/v1/plan') return { pools: document };
  const pools = Object.values(document) as { realServers: Json }[];
  const pool = pools[pick % Math.max(1, pools.length)];
  if (path === '/v1/pools/{pool}') return pool ?? {};
  const servers = pool?.realServers ?? {};
  if (path === '/v1/pools/{pool}/real-servers') return servers;
  const list = Object.values(servers);
  return list[pick % Math.max(1, list.length)] ?? {};
}

/** A merge patch changes little: some members of what a PUT would take. */
const someOf = (value: unknown, pick: number): unknown =>
  Object.fromEntries(Object.entries(value as Json).filter((_, i) => (pick >> i) % 2 === 1));

/** A request of one of these operations, with a right body, a nearly right one, or noise. */
export function requestArb(operations: readonly Operation[], ejection: boolean): fc.Arbitrary<Request> {
  const documents = documentArb(ejection);
  const bodyFor = ({ method, path }: Operation): fc.Arbitrary<{ body: Request['body']; type?: string }> => {
    const right = path.startsWith('/v1/agents')
      ? reportArb('rs1')
      : fc.tuple(documents, fc.nat()).map(([document, pick]) => {
          const part = partOf(document, path, pick);
          return method === 'PATCH' ? someOf(part, pick) : part;
        });
    const json = fc
      .oneof({ weight: 5, arbitrary: mutated(right) }, { weight: 1, arbitrary: fc.jsonValue() })
      .map((value) => ({ body: JSON.stringify(value) }));
    const noise = fc.record({ body: noiseArb, type: fc.constantFrom(...contentTypes) });
    const takesOne = !['GET', 'HEAD', 'DELETE'].includes(method);
    return fc.oneof(
      { weight: takesOne ? 8 : 0, arbitrary: json },
      { weight: takesOne ? 0 : 8, arbitrary: fc.constant({ body: undefined }) },
      { weight: 1, arbitrary: noise },
    );
  };
  return fc.constantFrom(...operations).chain((operation) => {
    const { method, path } = operation;
    const segments = path
      .split('/')
      .map((part) => (part.startsWith('{') ? segmentArb(part.slice(1, -1)) : fc.constant(part)));
    return fc
      .tuple(fc.tuple(...segments), queryArb, headersArb, bodyFor(operation))
      .map(([parts, query, headers, { body, type }]) => {
        // A poll of the revision that is there now waits for half a minute by itself.
        const pairs =
          query.some((pair) => pair.startsWith('waitMs=')) || !path.endsWith('/desired')
            ? query
            : [...query, 'waitMs=1'];
        const url = `${parts.join('/')}${pairs.length > 0 ? `?${pairs.join('&')}` : ''}`;
        return requestOf(method, url, body, type === undefined ? headers : { ...headers, 'content-type': type });
      });
  });
}
