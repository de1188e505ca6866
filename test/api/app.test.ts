import fc from 'fast-check';
import t from 'tap';
import { problemSchema } from '../../src/schema.ts';
import { poolsArb } from '../arbitraries.ts';
import { holds } from '../property.ts';
import { type Answer, fitReport, problemJson, startController, vip, webPool } from './site.ts';

const routes: Record<string, string[]> = {
  '/v1/pools': ['get', 'put', 'delete'],
  '/v1/pools/{pool}': ['get', 'put', 'patch', 'delete'],
  '/v1/pools/{pool}/cache': ['delete'],
  '/v1/explain': ['post'],
  '/v1/pools/{pool}/real-servers': ['get', 'put', 'patch', 'delete'],
  '/v1/pools/{pool}/real-servers/{name}': ['get', 'put', 'patch', 'delete'],
  '/v1/status': ['get'],
  '/v1/status/stream': ['get'],
  '/v1/plan': ['post'],
  '/v1/agents': ['get'],
  '/v1/agents/{name}': ['delete'],
  '/v1/agents/{name}/desired': ['get'],
  '/v1/agents/{name}/report': ['post'],
  '/v1/events': ['get'],
  '/metrics': ['get'],
  '/v1/doctor': ['get'],
  '/v1/front': ['get'],
  '/healthz': ['get'],
  '/openapi.json': ['get'],
  '/v1/whoami': ['get'],
  '/v1/tokens': ['get', 'post'],
  '/v1/tokens/{id}': ['delete'],
  '/v1/invitations': ['post'],
  '/v1/join': ['post'],
  '/v1/agents/{name}/token': ['post'],
  '/v1/ca': ['get'],
  '/v1/audit': ['get'],
};

/** They end with the connection. */
const streams = ['/v1/events', '/v1/status/stream'];

t.test('GET /openapi.json is an OpenAPI 3.1 document that names every route', async (t) => {
  const c = await startController(t);
  const { status, headers, body } = await c.call('GET', '/openapi.json');
  t.equal(status, 200);
  t.match(headers['content-type'], /^application\/json/);
  t.match(body.openapi, /^3\.1\.\d+$/);
  t.match(body.info, { title: 'dsr-controller', version: /./ });
  const named = Object.fromEntries(
    Object.entries(body.paths).map(([path, item]) => [path, Object.keys(item as object)]),
  );
  t.strictSame(sorted(named), sorted(routes));
});

const sorted = (of: Record<string, string[]>) =>
  Object.entries(of)
    .map(([path, verbs]) => `${path} ${[...verbs].sort().join(' ')}`)
    .sort();

// biome-ignore lint/suspicious/noExplicitAny: a document of any shape is looked through
type Json = any;

/** Every object inside, with the pointer to it. */
function* objectsIn(value: Json, at = '#'): Generator<[string, Json]> {
  if (typeof value !== 'object' || value === null) return;
  yield [at, value];
  for (const [key, member] of Object.entries(value))
    yield* objectsIn(member, `${at}/${key.replaceAll('~', '~0').replaceAll('/', '~1')}`);
}

t.test('the document keeps the rules of OpenAPI 3.1: parameters, bodies, answers and references', async (t) => {
  const c = await startController(t);
  const document: Json = (await c.call('GET', '/openapi.json')).body;
  const pointers = new Map(objectsIn(document));
  for (const [at, { $ref }] of pointers)
    if (typeof $ref === 'string') t.ok(pointers.has($ref), `${at} refers to ${$ref}, which is there`);
  for (const [path, item] of Object.entries<Json>(document.paths))
    for (const [verb, operation] of Object.entries<Json>(item)) {
      const where = `${verb} ${path}`;
      t.match(operation.summary, /./, `${where} says what it is`);
      const parameters: Json[] = operation.parameters ?? [];
      const inPath = parameters.filter((p) => p.in === 'path').map((p) => p.name);
      t.strictSame(inPath.sort(), [...path.matchAll(/\{(\w+)\}/g)].map(([, name]) => name).sort(), where);
      t.equal(new Set(parameters.map((p) => `${p.in} ${p.name}`)).size, parameters.length);
      for (const p of parameters) {
        t.ok(
          ['path', 'query', 'header', 'cookie'].includes(p.in) && p.schema && (p.in !== 'path' || p.required),
          p.name,
        );
      }
      t.equal(operation.requestBody !== undefined, ['put', 'patch', 'post'].includes(verb), where);
      for (const [type, media] of Object.entries<Json>(operation.requestBody?.content ?? {})) {
        t.match(type, /^application\/(merge-patch\+)?json$/);
        t.equal(media.schema.type, 'object', `${where}: the body has a schema`);
      }
      if (verb === 'patch') t.ok(operation.requestBody.content['application/merge-patch+json'], where);
      const codes = Object.keys(operation.responses);
      t.ok(
        codes.some((code) => code.startsWith('20')) && codes.every((code) => /^[1-5]\d\d$|^default$/.test(code)),
        where,
      );
      for (const response of Object.values<Json>(operation.responses)) t.match(response.description, /./);
      t.ok(operation.responses.default.content[problemJson], `${where} may answer a problem`);
    }
});

t.test('the schema of a pool takes what the API takes: its fields, and no others', async (t) => {
  const c = await startController(t);
  const document: Json = (await c.call('GET', '/openapi.json')).body;
  const pool = document.paths['/v1/pools/{pool}'].put.requestBody.content['application/json'].schema;
  t.equal(pool.additionalProperties, false);
  t.strictSame(pool.required.sort(), ['ports', 'vip'], 'what has a default may be left out');
  const member = pool.properties.realServers.additionalProperties;
  t.strictSame(member.required, ['address']);
  t.match(member.properties, { weight: { type: 'integer', minimum: 0, maximum: 65535, default: 100 } });
  t.equal(pool.properties.check.oneOf.length, 10, 'a check of each kind');
});

/** Routes that take a body, as a client sees them. */
const writes: [string, string][] = [
  ['PUT', '/v1/pools'],
  ['PUT', '/v1/pools/web'],
  ['PATCH', '/v1/pools/web'],
  ['PUT', '/v1/pools/web/real-servers'],
  ['PATCH', '/v1/pools/web/real-servers'],
  ['PUT', '/v1/pools/web/real-servers/rs1'],
  ['PATCH', '/v1/pools/web/real-servers/rs1'],
  ['POST', '/v1/plan'],
  ['POST', '/v1/agents/rs1/report'],
];

/** Bodies from noise to nearly right: a valid one with one value somewhere replaced by noise. */
const noise = fc.oneof(
  fc.jsonValue({ maxDepth: 4 }),
  fc.constantFrom<unknown>(null, '', 0, -1, 1e308, 2 ** 53, [], {}, 'constructor', '192.0.2.100', '::', { '': {} }, [
    [],
  ]),
);
const keys = fc.constantFrom(
  'vip',
  'ports',
  'realServers',
  '80/tcp',
  'policy',
  'rs1',
  'address',
  'weight',
  'constructor',
  'pools',
);
const nearly = fc
  .tuple(poolsArb, fc.array(keys, { minLength: 1, maxLength: 4 }), noise, fc.boolean())
  .map(([pools, path, value, wholeDocument]) => {
    const seed = { pools: { web: webPool(), ...pools } };
    const body: Json = structuredClone(
      wholeDocument ? seed : { ...seed.pools.web, ...fitReport('rs1', '192.0.2.11', [vip]) },
    );
    let at = body;
    for (const key of path.slice(0, -1)) at = typeof at?.[key] === 'object' && at[key] !== null ? at[key] : at;
    at[path.at(-1) ?? 'vip'] = value;
    return body;
  });
const bodies = fc.oneof(noise, nearly);

/** What every answer keeps to, whatever was asked. */
function isSound({ status, headers, body }: Answer): boolean {
  // 304: the page, which the client has already.
  if (status < 400) return (status >= 200 && status < 300) || status === 304;
  return (
    status < 500 &&
    headers['content-type'] === problemJson &&
    problemSchema.safeParse(body).success &&
    body.status === status
  );
}

t.test('whatever JSON is sent', async (t) => {
  const c = await startController(t);
  const stored = () => JSON.stringify(c.state.get().pools);
  holds(
    t,
    'every route that takes a body answers with success, or with a problem below 500 that changed nothing',
    fc.asyncProperty(bodies, async (body) => {
      const text = JSON.stringify(body) ?? 'null';
      for (const [method, url] of writes) {
        if (!c.state.get().pools.web?.pool.realServers.rs1) await c.call('PUT', '/v1/pools/web', webPool());
        const before = stored();
        const answer = await c.call(method, url, text);
        const same = answer.status < 400 || stored() === before;
        if (!isSound(answer) || !same)
          throw new Error(`${method} ${url}: ${answer.status} ${JSON.stringify(answer.body)}`);
      }
    }),
    300,
  );
});

t.test('whatever bytes are sent as a body', async (t) => {
  const c = await startController(t);
  await c.call('PUT', '/v1/pools/web', webPool());
  const type = fc.constantFrom(
    'application/json',
    'application/merge-patch+json',
    'text/plain',
    'application/json;;',
    '',
    '/',
    'a/b',
  );
  holds(
    t,
    'the answer is a success or a problem below 500',
    fc.asyncProperty(
      fc.constantFrom(...writes),
      type,
      fc.string({ unit: 'binary' }),
      async ([method, url], type, text) => isSound(await c.call(method, url, text, { 'content-type': type })),
    ),
    300,
  );
});

t.test('whatever path, query and condition are asked', async (t) => {
  const c = await startController(t);
  // Until then some answers are 503.
  await c.when(() => c.director.last() !== undefined);
  await c.call('PUT', '/v1/pools/web', webPool());
  const part = fc.oneof(
    fc.constantFrom(
      'v1',
      'pools',
      'web',
      'real-servers',
      'rs1',
      'status',
      'agents',
      'desired',
      'healthz',
      'constructor',
      '%',
      '%ff',
      '..',
      '',
      '*',
      ':pool',
    ),
    fc.string().map(encodeURIComponent),
    fc.webSegment(),
  );
  const path = fc.oneof(
    fc.array(part, { maxLength: 6 }).map((parts) => `/${parts.join('/')}`),
    fc
      .constantFrom(...Object.keys(routes).filter((route) => !streams.includes(route)))
      .chain((route) =>
        fc
          .array(part, { minLength: 2, maxLength: 2 })
          .map(([a = '', b = '']) => route.replace('{pool}', a).replace('{name}', b)),
      ),
  );
  const query = fc.oneof(
    fc.constantFrom(
      '',
      '?',
      '?waitMs=1',
      '?waitMs=x',
      '?drainMs=0',
      '?drainMs=-1',
      '?pool=web',
      '?pool=%00',
      '?revision=1&waitMs=0',
      '?__proto__=1',
      '?a[b]=c',
      '?%',
    ),
    fc.webQueryParameters().map((text) => `?${text}`),
  );
  const condition = fc.option(fc.constantFrom('"1"', '*', 'W/"1"', ',', '"', 'x'), { nil: undefined });
  holds(
    t,
    'the answer is a success or a problem below 500',
    fc.asyncProperty(
      fc.constantFrom('GET', 'DELETE', 'HEAD', 'OPTIONS', 'TRACE'),
      path,
      query,
      condition,
      async (method, path, query, tag) => {
        if (!c.state.get().pools.web) await c.call('PUT', '/v1/pools/web', webPool());
        const headers = {
          accept: 'application/json',
          ...(tag !== undefined && { 'if-match': tag, 'if-none-match': tag }),
        };
        const answer = await c.call(method, `${path}${query}`.replace(/waitMs=\d{3,}/, ''), undefined, headers);
        return method === 'HEAD' ? answer.status < 500 : isSound(answer);
      },
    ),
    500,
  );
});
