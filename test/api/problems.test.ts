import { once } from 'node:events';
import { connect } from 'node:net';
import { text } from 'node:stream/consumers';
import t from 'tap';
import { catalogue } from '../../src/errors.ts';
import { problemSchema } from '../../src/schema.ts';
import { type Controller, isProblem, problemJson, startController, vip, webPool, whole } from './site.ts';

const url = '/v1/pools/web';

t.test('every wrong field is named by its path, with what would be right', async (t) => {
  const c = await startController(t);
  const port = (more: object) => ({ ...webPool(), ports: { '80/tcp': { policy: 'real-servers', ...more } } });
  const member = (more: object) => ({ ...webPool(), realServers: { rs1: { address: '192.0.2.11', ...more } } });
  const wrong: [unknown, string, RegExp][] = [
    [{}, 'vip', /missing; a string belongs here/],
    [{ vip }, 'ports', /missing; an object belongs here/],
    [{ ...webPool(), vip: 5 }, 'vip', /a string belongs here, not number/],
    [{ ...webPool(), vip: '192.0.2' }, 'vip', /not an IP address; write it like 192\.0\.2\.100/],
    [{ ...webPool(), vip: '192.0.2.100/32' }, 'vip', /not an IP address/],
    [{ ...webPool(), vip: '127.0.0.1' }, 'vip', /loopback address cannot be used here/],
    [{ ...webPool(), vip: '224.0.0.1' }, 'vip', /multicast/],
    [{ ...webPool(), vip: '0.0.0.0' }, 'vip', /unspecified/],
    [{ ...webPool(), size: 3 }, 'size', /no such field; take it out, or correct its name/],
    [{ ...webPool(), ports: {} }, 'ports', /at least one port, such as "80\/tcp"/],
    [{ ...webPool(), ports: [] }, 'ports', /an object belongs here, not array/],
    [{ ...webPool(), ports: { 80: { policy: 'director' } } }, 'ports.80', /written like "80\/tcp"/],
    [{ ...webPool(), ports: { '0/tcp': { policy: 'director' } } }, 'ports.0/tcp', /written like "80\/tcp"/],
    [{ ...webPool(), ports: { '65536/tcp': { policy: 'director' } } }, 'ports.65536/tcp', /1 to 65535/],
    [port({ policy: 'both' }), 'ports.80/tcp.policy', /"real-servers", "director" or "url"/],
    [port({ policy: 'director', scheduler: 'rr' }), 'ports.80/tcp.scheduler', /no such field/],
    [port({ scheduler: 'best' }), 'ports.80/tcp.scheduler', /the schedulers are rr, wrr, lc, wlc/],
    [
      port({ scheduler: 'sh', schedulerFlags: ['mh-port'] }),
      'ports.80/tcp.schedulerFlags',
      /belongs to the scheduler mh/,
    ],
    [port({ schedulerFlags: 'sh-port' }), 'ports.80/tcp.schedulerFlags', /an array belongs here, not string/],
    [port({ schedulerFlags: ['sh'] }), 'ports.80/tcp.schedulerFlags.0', /the scheduler flags are/],
    [port({ persistenceSeconds: 0 }), 'ports.80/tcp.persistenceSeconds', /at least 1/],
    [port({ persistenceNetmask: 24 }), 'ports.80/tcp.persistenceNetmask', /goes with persistenceSeconds/],
    [port({ persistenceSeconds: 5, persistenceNetmask: 64 }), 'ports.80/tcp.persistenceNetmask', /1 to 32/],
    [port({ persistenceSeconds: 5, persistenceNetmask: '255.0.255.0' }), 'ports.80/tcp.persistenceNetmask', /netmask/],
    [port({ onePacket: true }), 'ports.80/tcp.onePacket', /UDP ports only/],
    [port({ onePacket: 'yes' }), 'ports.80/tcp.onePacket', /a boolean belongs here, not string/],
    [member({ weight: '100' }), 'realServers.rs1.weight', /a number, 0 to 65535/],
    [member({ weight: 1.5 }), 'realServers.rs1.weight', /a whole number, 0 to 65535/],
    [member({ port: 8080 }), 'realServers.rs1.port', /no such field/],
    [member({ state: 'up' }), 'realServers.rs1.state', /"active", "drain" or "maintenance"/],
    [member({ address: 'rs1.example' }), 'realServers.rs1.address', /not an IP address/],
    [{ ...webPool(), realServers: { rs1: null } }, 'realServers.rs1', /an object belongs here, not null/],
    [{ ...webPool(), realServers: { Rs1: {} } }, 'realServers.Rs1', /DNS label/],
  ];
  for (const [body, path, words] of wrong) {
    const answer = await c.call('PUT', url, body);
    isProblem(t, answer, 400, 'INVALID_REQUEST', path);
    t.match(answer.body.errors[0].message, words, path);
    t.equal(answer.body.detail, `${path}: ${answer.body.errors[0].message}`);
  }
  t.equal(c.state.get().revision, 0);
});

t.test('all wrong fields are told at once', async (t) => {
  const c = await startController(t);
  const body = { vip: 'x', ports: { '80/tcp': { policy: 'x' } }, realServers: { rs1: { weight: -1 } }, a: 1, b: 2 };
  const answer = await c.call('PUT', url, body);
  const paths = answer.body.errors.map(({ path }: { path: string }) => path);
  t.strictSame(paths.sort(), [
    'a',
    'b',
    'ports.80/tcp.policy',
    'realServers.rs1.address',
    'realServers.rs1.weight',
    'vip',
  ]);
});

t.test('a wrong check is refused with words that say what would be right, at the pool and at a port', async (t) => {
  const c = await startController(t);
  const check = { type: 'http', path: 'healthz' };
  const ports = (policy: string) => ({ ...webPool(), ports: { '80/tcp': { policy, check } } });
  for (const [body, path, words] of [
    [{ ...webPool(), check }, 'check.path', /path begins with "\/"/],
    [ports('real-servers'), 'ports.80/tcp.check.path', /path begins with "\/"/],
    [ports('director'), 'ports.80/tcp.check', /is checked by looking for its listener; leave "check" out/],
  ] as const) {
    const answer = await c.call('PUT', url, body);
    isProblem(t, answer, 400, 'INVALID_REQUEST', path);
    t.match(answer.body.detail, words);
  }
  await c.call('PUT', url, webPool());
  isProblem(t, await c.call('PATCH', url, { check }), 400, 'INVALID_REQUEST', 'check.path');
});

t.test('the same VIP, port and protocol in two pools is 409, and names the pool that has it', async (t) => {
  const c = await startController(t);
  await c.call('PUT', url, webPool());
  const before = whole(c);
  const other = { vip, ports: { '443/tcp': { policy: 'real-servers' }, '80/tcp': { policy: 'real-servers' } } };
  const clash = await c.call('PUT', '/v1/pools/img', other);
  isProblem(t, clash, 409, 'CONFLICT', 'ports.80/tcp');
  t.match(clash.body.detail, /192\.0\.2\.100:80\/tcp belongs to pool "web"; take another port or VIP/);
  isProblem(t, await c.call('PUT', '/v1/pools', { pools: { web: webPool(), img: other } }), 409, 'CONFLICT');
  t.equal(whole(c), before);
  const beside = { vip, ports: { '443/tcp': { policy: 'real-servers' }, '80/udp': { policy: 'real-servers' } } };
  t.equal((await c.call('PUT', '/v1/pools/img', beside)).status, 201, 'another port or protocol of the VIP is free');
  const patch = { ports: { '443/tcp': { policy: 'director' } } };
  isProblem(t, await c.call('PATCH', url, patch), 409, 'CONFLICT');
});

t.test('a VIP that is the address of a real server of another pool is 409', async (t) => {
  const c = await startController(t);
  await c.call('PUT', url, webPool());
  const clash = await c.call('PUT', '/v1/pools/img', { ...webPool(), vip: '192.0.2.11', realServers: {} });
  isProblem(t, clash, 409, 'CONFLICT');
  t.match(clash.body.detail, /192\.0\.2\.11 is the VIP of pool "img"; give the real server's own address/);
});

t.test('a body over 1 MiB is 413, also when its length is not known before; one of 1 MiB is read', async (t) => {
  const c = await startController(t);
  const limit = 1024 * 1024;
  const padded = (size: number) => JSON.stringify(webPool()).padEnd(size, ' ');
  t.equal((await c.call('PUT', url, padded(limit))).status, 201);
  const before = whole(c);
  isProblem(t, await c.call('PUT', '/v1/pools/big', padded(limit + 1)), 413, 'BODY_TOO_LARGE');
  const base = await c.listen();
  const chunked = await fetch(`${base}/v1/pools/big`, {
    method: 'PUT',
    headers: { 'content-type': 'application/json' },
    body: new Blob([padded(limit + 1)]).stream(),
    duplex: 'half',
  } as RequestInit);
  t.equal(chunked.status, 413);
  t.match(await chunked.json(), { code: 'BODY_TOO_LARGE', detail: /larger than 1 MiB/ });
  t.equal(whole(c), before);
});

t.test('a body that is not JSON is 415 or 400, and says which header or what is wrong', async (t) => {
  const c = await startController(t);
  const json = JSON.stringify(webPool());
  for (const type of [
    'text/plain',
    'text/json',
    'application/x-www-form-urlencoded',
    'multipart/form-data',
    'nonsense',
  ])
    for (const [method, at] of [
      ['PUT', url],
      ['PATCH', url],
      ['POST', '/v1/plan'],
    ] as const) {
      const answer = await c.call(method, at, json, { 'content-type': type });
      isProblem(t, answer, 415, 'UNSUPPORTED_MEDIA_TYPE');
      t.match(answer.body.detail, /application\/json/, `${method} ${type}`);
    }
  for (const body of ['{', '{"vip":}', 'vip: 1', '\u0000', "{'vip': 1}", '[1,]', '{"a":1}{"b":2}', 'NaN'])
    for (const method of ['PUT', 'PATCH']) {
      const answer = await c.call(method, url, body);
      isProblem(t, answer, 400, 'INVALID_REQUEST');
      t.match(answer.body.detail, /JSON/, `${method} ${body}`);
    }
  for (const body of ['', '   ']) isProblem(t, await c.call('PUT', url, body), 400, 'INVALID_REQUEST');
  const none = await c.call('PUT', url);
  isProblem(t, none, 400, 'INVALID_REQUEST', '');
  t.match(none.body.detail, /the body: it is missing/);
  t.equal(c.state.get().revision, 0);
});

t.test('a DELETE with a content type and no body is taken, as many clients send it', async (t) => {
  const c = await startController(t);
  await c.call('PUT', url, webPool());
  const answer = await c.call('DELETE', url, undefined, { 'content-type': 'application/json' });
  t.equal(answer.status, 202);
});

t.test('keys that would reach into a prototype are refused or kept as plain names', async (t) => {
  const c = await startController(t);
  await c.call('PUT', url, webPool());
  const before = whole(c);
  for (const body of [
    '{"__proto__":{"vip":"192.0.2.100"}}',
    '{"realServers":{"__proto__":{"address":"192.0.2.11"}}}',
    '{"realServers":{"rs1":{"__proto__":{"weight":5}}}}',
    '{"constructor":{"prototype":{"polluted":1}}}',
    '{"ports":{"80/tcp":{"\\u005f\\u005fproto__":{}}}}',
  ])
    for (const [method, at] of [
      ['PUT', url],
      ['PATCH', url],
      ['PATCH', `${url}/real-servers`],
      ['POST', '/v1/plan'],
    ] as const)
      isProblem(t, await c.call(method, at, body), 400, 'INVALID_REQUEST');
  t.equal(whole(c), before);
  t.notOk(Object.hasOwn(Object.prototype, 'polluted'));
});

t.test('bodies nested to any depth are refused, never a failure', async (t) => {
  const c = await startController(t);
  await c.call('PUT', url, webPool());
  const before = whole(c);
  const depth = 100_000;
  const arrays = '['.repeat(depth) + ']'.repeat(depth);
  const objects = `${'{"a":'.repeat(depth)}1${'}'.repeat(depth)}`;
  for (const deep of [arrays, objects, `{"realServers":${objects}}`, `{"ports":{"80/tcp":${arrays}}}`])
    for (const [method, at] of [
      ['PUT', url],
      ['PATCH', url],
      ['PUT', `${url}/real-servers`],
      ['PATCH', `${url}/real-servers`],
      ['PATCH', `${url}/real-servers/rs1`],
      ['POST', '/v1/plan'],
      ['POST', '/v1/agents/rs1/report'],
    ] as const)
      isProblem(t, await c.call(method, at, deep), 400, 'INVALID_REQUEST');
  t.equal(whole(c), before);
});

t.test('a path that is not there is 404, and one with another method 405 with those that it takes', async (t) => {
  const c = await startController(t);
  for (const path of [
    '/v1',
    '/v2/pools',
    '/v1/pool',
    '/v1/pools/web/real-servers/rs1/x',
    '/v1/pools/web/ports',
    '//v1/pools',
  ])
    for (const method of ['GET', 'PUT', 'DELETE', 'OPTIONS'])
      isProblem(t, await c.call(method, path, method === 'PUT' ? {} : undefined), 404, 'NOT_FOUND');
  const wrong: [string, string, string][] = [
    ['PUT', '/', 'GET, HEAD'],
    ['POST', '/v1/pools', 'GET, HEAD, PUT, DELETE'],
    ['PATCH', '/v1/pools', 'GET, HEAD, PUT, DELETE'],
    ['POST', url, 'GET, HEAD, PUT, PATCH, DELETE'],
    ['OPTIONS', url, 'GET, HEAD, PUT, PATCH, DELETE'],
    ['POST', `${url}/real-servers`, 'GET, HEAD, PUT, PATCH, DELETE'],
    ['POST', `${url}/real-servers/rs1`, 'GET, HEAD, PUT, PATCH, DELETE'],
    ['DELETE', '/v1/status', 'GET, HEAD'],
    ['GET', '/v1/plan', 'POST'],
    ['GET', '/v1/agents/rs1/report', 'POST'],
    ['PUT', '/healthz', 'GET, HEAD'],
    ['DELETE', '/openapi.json', 'GET, HEAD'],
  ];
  for (const [method, path, allow] of wrong) {
    const body = method === 'DELETE' || method === 'GET' || method === 'OPTIONS' ? undefined : {};
    const answer = await c.call(method, path, body);
    isProblem(t, answer, 405, 'METHOD_NOT_ALLOWED');
    const methods = (list: string | undefined) => list?.split(', ').sort();
    t.strictSame(methods(answer.headers.allow), methods(allow), `${method} ${path}`);
  }
});

t.test('an address that cannot be decoded is a problem too', async (t) => {
  const c = await startController(t);
  for (const path of [
    '/v1/pools/%',
    '/v1/pools/%zz',
    '/v1/pools/%C3',
    `/v1/pools/${'x'.repeat(5000)}`,
    '/v1/pools/a%',
    '/%',
  ])
    isProblem(t, await c.call('GET', path), 400, 'INVALID_REQUEST');
});

/** What comes back for these bytes on a connection of its own. */
async function raw(c: Controller, base: string, bytes: string): Promise<{ head: string; body: string }> {
  const socket = connect(Number(new URL(base).port), '127.0.0.1');
  await once(socket, 'connect');
  socket.write(bytes);
  const [head = '', body = ''] = (await text(socket)).split('\r\n\r\n');
  void c;
  return { head, body };
}

t.test('what is no HTTP request is answered with a problem and the end of the connection', async (t) => {
  const c = await startController(t);
  const base = await c.listen();
  for (const bytes of [
    'hello\r\n\r\n',
    'FROB /v1/pools HTTP/1.1\r\nhost: x\r\n\r\n',
    'GET /v1/pools HTTP/9.9\r\nhost: x\r\n\r\n',
    `GET / HTTP/1.1\r\nhost: x\r\nx: ${'y'.repeat(40_000)}\r\n\r\n`,
    'PUT /v1/pools HTTP/1.1\r\nhost: x\r\ncontent-length: x\r\n\r\n',
  ]) {
    const { head, body } = await raw(c, base, bytes);
    t.match(head, /^HTTP\/1\.1 400 /, bytes.slice(0, 30));
    t.match(head.toLowerCase(), `content-type: ${problemJson}`);
    t.ok(problemSchema.safeParse(JSON.parse(body)).success);
    t.match(JSON.parse(body), { code: 'INVALID_REQUEST', status: 400 });
  }
  t.equal((await fetch(`${base}/healthz`)).status, 200, 'and the next client is served');
});

t.test('every problem follows its schema, and its status is that of its code', async (t) => {
  const c = await startController(t);
  const answers = await Promise.all([
    c.call('GET', '/v1/pools/nope'),
    c.call('PUT', '/v1/pools/web', { a: 1 }),
    c.call('PUT', '/v1/pools/web', 'x', { 'content-type': 'text/plain' }),
    c.call('POST', '/v1/pools', {}),
    c.call('PUT', '/v1/pools/web', webPool(), { 'if-match': '"4"' }),
  ]);
  for (const { status, body } of answers) {
    const { code } = problemSchema.parse(body);
    t.equal(status, body.status);
    t.equal(status, catalogue[code as keyof typeof catalogue].status, code);
  }
});
