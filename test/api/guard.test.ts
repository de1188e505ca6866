import { once } from 'node:events';
import { connect as connectPlain, type Socket } from 'node:net';
import { text } from 'node:stream/consumers';
import { connect as connectTls } from 'node:tls';
import fc from 'fast-check';
import t, { type Test } from 'tap';
import { Agent, request } from 'undici';
import { makeAuthority, makeServer } from '../../src/trust/certificates.ts';
import { fitReport, isProblem, patienceMs, startController, vip, webPool } from './site.ts';
import { bearer, startTrusted, type Trusted } from './trusted.ts';

type Holder = keyof Trusted['tokens'] | 'nobody' | 'stranger';
const strangersToken = `dsr_${'0'.repeat(16)}_${'A'.repeat(43)}`;

t.test(
  'every route there is asks who it is: each holder is let in where the table says, and nowhere else',
  async (t) => {
    const c = await startTrusted(t);
    const { body: document } = await c.call('GET', '/openapi.json');
    const open = ['/healthz', '/openapi.json', '/v1/ca'];
    const changesNothing = ['/v1/plan', '/v1/explain', '/v1/whoami'];
    const adminsOwn = ['/v1/tokens', '/v1/audit', '/v1/front'];
    const agents = /^\/v1\/agents\/\{name\}\/(desired|report|token)$/;
    const may = (who: Holder, verb: string, path: string): boolean => {
      if (open.includes(path)) return true;
      if (path === '/v1/join' || who === 'nobody' || who === 'stranger') return false;
      if (agents.test(path)) return who === 'rs1';
      if (who === 'admin') return true;
      if (who === 'viewer') return changesNothing.includes(path) || (verb === 'get' && !adminsOwn.includes(path));
      return false;
    };
    let routes = 0;
    for (const [path, item] of Object.entries<object>(document.paths))
      for (const verb of Object.keys(item)) {
        routes++;
        for (const who of ['nobody', 'stranger', 'admin', 'viewer', 'rs1', 'rs2'] as const) {
          const headers = who === 'nobody' ? {} : bearer(who === 'stranger' ? strangersToken : c.tokens[who]);
          // What it asks for is not there, or not valid: nothing is changed, and no stream begins.
          const name = agents.test(path) ? 'rs1' : 'rs9';
          const url = path.replace('{name}', name).replace(/\{\w+\}/, 'x!');
          const query = /stream|events/.test(path) ? '?wrong=1' : path.endsWith('desired') ? '?waitMs=x' : '';
          const { status } = await c.call(verb.toUpperCase(), url + query, undefined, headers);
          const refused = status === 401 || status === 403 || status === 429;
          t.equal(!refused, may(who, verb, path), `${who}: ${verb} ${path} (${status})`);
        }
      }
    t.ok(routes > 30);
    t.equal(c.state.get().revision, 0);
  },
);

t.test('a token that is none, that has expired or that is an invitation is refused in words', async (t) => {
  const c = await startTrusted(t);
  const invitation = await c.keys.invite('rs3', 60_000);
  const expired = await c.keys.invite('rs4', 1);
  while (c.keys.caller(expired.token) !== 'expired') await new Promise((resolve) => setTimeout(resolve, 1));
  const cases: [Record<string, string>, number, string, RegExp][] = [
    [{}, 401, 'UNAUTHENTICATED', /the header "authorization: Bearer TOKEN" is missing.*admin-token/],
    [{ authorization: 'Basic YTpi' }, 401, 'UNAUTHENTICATED', /is not "Bearer TOKEN"/],
    [bearer('x'), 401, 'UNAUTHENTICATED', /not known here: it is mistyped, used up or revoked/],
    [bearer(strangersToken), 401, 'UNAUTHENTICATED', /not known here/],
    [bearer(`${c.tokens.admin}x`), 401, 'UNAUTHENTICATED', /not known here/],
    [bearer(expired.token), 401, 'UNAUTHENTICATED', /has expired/],
    [bearer(invitation.token), 403, 'FORBIDDEN', /is the invitation of "rs3"/],
    [c.as('viewer'), 403, 'FORBIDDEN', /may only read/],
    [c.as('rs1'), 403, 'FORBIDDEN', /may only report for the agent "rs1"/],
  ];
  for (const [headers, status, code, words] of cases) {
    const answer = await c.call('PUT', '/v1/pools/web', webPool(), headers);
    isProblem(t, answer, status, code);
    t.match(answer.body.detail, words);
    t.equal(answer.headers['www-authenticate'], status === 401 ? 'Bearer' : undefined);
  }
  t.equal(c.state.get().revision, 0);
  t.equal(
    (await c.call('PUT', '/v1/pools/web', webPool(), { authorization: `bearer  ${c.tokens.admin} ` })).status,
    201,
  );
});

t.test(
  'an invitation lets one machine in, once, and its token speaks for that name on that machine alone',
  async (t) => {
    const c = await startTrusted(t);
    isProblem(
      t,
      await c.call('POST', '/v1/invitations', { agent: 'Rs!' }, c.as('admin')),
      400,
      'INVALID_REQUEST',
      'agent',
    );
    const invited = await c.call('POST', '/v1/invitations', { agent: 'rs3' }, c.as('admin'));
    t.match(invited, {
      status: 201,
      body: {
        agent: 'rs3',
        command: `dsr-agent join https://192.0.2.10:7100 --token ${invited.body.token} --ca-sha256 ${'ab'.repeat(32)}`,
      },
    });
    const join = () => c.call('POST', '/v1/join', { machineId: 'm3' }, bearer(invited.body.token));
    const joined = await join();
    t.match(joined, { status: 200, body: { agent: 'rs3', ca: 'PEM', expires: /^\d{4}-/ } });
    isProblem(t, await join(), 401, 'UNAUTHENTICATED');
    const report = (name: string, machineId: string, token: string) =>
      c.call('POST', `/v1/agents/${name}/report`, fitReport(name, '192.0.2.13', [vip], { machineId }), bearer(token));
    t.equal((await report('rs3', 'm3', joined.body.token)).status, 200);
    isProblem(t, await report('rs3', 'another', joined.body.token), 409, 'AGENT_OTHER_MACHINE');
    const other = await report('rs1', 'm3', joined.body.token);
    isProblem(t, other, 403, 'FORBIDDEN');
    t.match(other.body.detail, /speaks for the agent "rs3" alone, not for "rs1"/);
    t.notOk(c.agents.all().has('rs1'));
    const renewed = await c.call('POST', '/v1/agents/rs3/token', { machineId: 'm3' }, bearer(joined.body.token));
    t.equal((await report('rs3', 'm3', renewed.body.token)).status, 200);
    // What is asked after has the new one's first use on disk before it.
    await c.call('POST', '/v1/tokens', { role: 'viewer', name: 'x' }, c.as('admin'));
    isProblem(t, await report('rs3', 'm3', joined.body.token), 401, 'UNAUTHENTICATED');
    isProblem(
      t,
      await c.call('POST', '/v1/agents/rs3/token', { machineId: 'copy' }, bearer(renewed.body.token)),
      409,
      'AGENT_OTHER_MACHINE',
    );
    // The machine died; another one is invited in its place.
    const { body } = await c.call('POST', '/v1/invitations', { agent: 'rs3' }, c.as('admin'));
    const next = await c.call('POST', '/v1/join', { machineId: 'm4' }, bearer(body.token));
    t.equal((await report('rs3', 'm4', next.body.token)).status, 200);
    isProblem(t, await report('rs3', 'm3', renewed.body.token), 401, 'UNAUTHENTICATED');
    t.equal((await c.call('DELETE', '/v1/agents/rs3', undefined, c.as('admin'))).status, 200);
    await c.call('POST', '/v1/invitations', { agent: 'rs5' }, c.as('admin'));
    const forget = () => c.call('DELETE', '/v1/agents/rs5', undefined, c.as('admin'));
    t.equal((await forget()).status, 200, 'invited, and never seen');
    isProblem(t, await forget(), 404, 'NOT_FOUND');
    isProblem(t, await report('rs3', 'm4', next.body.token), 401, 'UNAUTHENTICATED');
  },
);

t.test('tokens are made, listed and revoked; their secrets are in no list', async (t) => {
  const c = await startTrusted(t);
  const body = { role: 'viewer', name: 'grafana', expiresInSeconds: 3600 };
  const made = await c.call('POST', '/v1/tokens', body, c.as('admin'));
  t.equal(made.status, 201);
  t.match((await c.call('GET', '/v1/whoami', undefined, bearer(made.body.token))).body, {
    kind: 'key',
    role: 'viewer',
    name: 'grafana',
  });
  const list = await c.call('GET', '/v1/tokens', undefined, c.as('admin'));
  t.match(
    list.body.tokens.find(({ id }: { id: string }) => id === made.body.id),
    { role: 'viewer', name: 'grafana', expired: false },
  );
  for (const token of [made.body.token, ...Object.values(c.tokens)])
    t.notOk(JSON.stringify(list.body).includes(token.split('_').slice(2).join('_')));
  t.equal((await c.call('DELETE', `/v1/tokens/${made.body.id}`, undefined, c.as('admin'))).status, 200);
  isProblem(t, await c.call('GET', '/v1/status', undefined, bearer(made.body.token)), 401, 'UNAUTHENTICATED');
  isProblem(t, await c.call('DELETE', `/v1/tokens/${made.body.id}`, undefined, c.as('admin')), 404, 'NOT_FOUND');
  isProblem(
    t,
    await c.call('POST', '/v1/tokens', { role: 'agent', name: 'x' }, c.as('admin')),
    400,
    'INVALID_REQUEST',
    'role',
  );
});

t.test('the audit log says who changed what from what to what, and who was refused', async (t) => {
  const c = await startTrusted(t);
  await c.call('PUT', '/v1/pools/web', webPool(), c.as('admin'));
  await c.call('PATCH', '/v1/pools/web/real-servers/rs1', { weight: 5 }, c.as('admin'));
  await c.call('DELETE', '/v1/pools/web', undefined, c.as('viewer'));
  await c.call('GET', '/v1/status', undefined, bearer(strangersToken));
  const { body } = await c.call('GET', '/v1/audit', undefined, c.as('admin'));
  t.match(body.entries, [
    {
      who: /^admin test \(token [0-9a-f]{16}\)$/,
      what: 'PUT /v1/pools/web',
      status: 201,
      before: {},
      after: { web: { vip } },
    },
    {
      what: 'PATCH /v1/pools/web/real-servers/rs1',
      before: { web: { realServers: { rs1: { weight: 100 } } } },
      after: { web: { realServers: { rs1: { weight: 5 } } } },
    },
    { who: /^viewer test/, what: 'DELETE /v1/pools/web', status: 403, reason: /may only read/ },
    { who: 'nobody', what: 'GET /v1/status', status: 401, reason: /not known/ },
  ]);
  for (const token of Object.values(c.tokens)) t.notOk(JSON.stringify(body).includes(token));
});

t.test('who guesses is told less and less, and hinders nobody else', async (t) => {
  const c = await startTrusted(t);
  const codes = new Map<number, number>();
  for (let i = 0; i < 100; i++) {
    const { status } = await c.call('GET', '/v1/status', undefined, bearer(strangersToken));
    codes.set(status, (codes.get(status) ?? 0) + 1);
  }
  t.ok((codes.get(429) ?? 0) > 50, `${JSON.stringify([...codes])}`);
  t.equal((await c.call('GET', '/v1/status', undefined, c.as('viewer'))).status, 200);
  t.equal(c.trust.refused.last(1000).length, 1, 'nor does he fill the log');
});

t.test('what was revoked while its body was on the way does nothing', async (t) => {
  const c = await startTrusted(t);
  const url = new URL(await c.listen());
  const { id, token } = await c.keys.make('admin', 'slow', null);
  const socket = connectPlain(Number(url.port), '127.0.0.1');
  const body = JSON.stringify({ role: 'admin', name: 'backdoor' });
  const head = [
    'POST /v1/tokens HTTP/1.1',
    'host: x',
    `authorization: Bearer ${token}`,
    'content-type: application/json',
  ];
  socket.write(
    `${[...head, `content-length: ${body.length}`, 'connection: close', 'expect: 100-continue'].join('\r\n')}\r\n\r\n`,
  );
  // It has been let in, and is asked for its body.
  await once(socket, 'data');
  await c.keys.revoke(id);
  socket.write(body);
  t.match(await text(socket), /401 Unauthorized[\s\S]*revoked, or has expired, just now/);
  t.notOk(Object.values(c.keys.all()).some(({ name }) => name === 'backdoor'));
});

t.test('refusals are told apart from changes, once each, and no token is in them', async (t) => {
  const c = await startTrusted(t);
  for (let i = 0; i < 5; i++) await c.call('DELETE', `/v1/tokens/${c.tokens.admin}`, undefined, c.as('viewer'));
  await c.call('POST', '/v1/agents/rs1/report', fitReport('rs1', '192.0.2.11', [], { machineId: 'copy' }), c.as('rs1'));
  t.strictSame(c.trust.audit.last(9), []);
  t.match(c.trust.refused.last(9), [
    { what: /^DELETE \/v1\/tokens\/dsr_[0-9a-f]{16}_…$/, status: 403 },
    { who: /^agent rs1/, what: 'POST /v1/agents/rs1/report', status: 409, reason: /given to another machine/ },
  ]);
  const { body } = await c.call('GET', '/v1/audit?last=1', undefined, c.as('admin'));
  t.match(body.entries, [{ status: 409 }]);
});

t.test('streams of one token are counted; others have their own', async (t) => {
  const c = await startTrusted(t);
  const url = await c.listen();
  const agent = new Agent();
  t.teardown(() => agent.destroy());
  const stream = (who: 'admin' | 'viewer') =>
    request(`${url}/v1/events`, { dispatcher: agent, headers: { ...c.as(who), accept: 'text/event-stream' } });
  const open = [];
  for (let i = 0; i < 64; i++) open.push(await stream('viewer'));
  t.ok(open.every(({ statusCode }) => statusCode === 200));
  const more = await stream('viewer');
  t.equal(more.statusCode, 429);
  t.match(await more.body.json(), { code: 'TOO_MANY_REQUESTS', detail: /64 streams/ });
  t.equal((await stream('admin')).statusCode, 200);
  open[0]?.body.on('error', () => {}).destroy();
  const again = async (): Promise<number> => {
    const { statusCode, body } = await stream('viewer');
    if (statusCode === 429) await body.dump();
    return statusCode;
  };
  let status = 0;
  for (const end = Date.now() + patienceMs; status !== 200 && Date.now() < end; ) status = await again();
  t.equal(status, 200, 'one that ended makes room');
});

t.test('a stream ends with its token', async (t) => {
  const c = await startTrusted(t);
  const url = await c.listen();
  const dispatcher = new Agent();
  t.teardown(() => dispatcher.destroy());
  const { id, token } = await c.keys.make('viewer', 'short', null);
  const stream = (token: string) => request(`${url}/v1/status/stream`, { dispatcher, headers: bearer(token) });
  const [mine, other] = [await stream(token), await stream(c.tokens.viewer)];
  t.strictSame([mine.statusCode, other.statusCode], [200, 200]);
  await c.keys.revoke(id);
  await t.rejects(mine.body.text(), /terminated|other side closed|aborted|socket/);
  t.notOk(other.body.destroyed);
  t.equal((await stream(token)).statusCode, 401);
});

const names = ['127.0.0.1'];

/** Asks for the status over a connection of its own. */
async function status(t: Test, c: Trusted, url: string, ca?: string): Promise<number> {
  const dispatcher = new Agent({ connect: ca === undefined ? {} : { ca } });
  t.teardown(() => dispatcher.destroy());
  const { statusCode, body } = await request(`${url}/v1/status`, { dispatcher, headers: c.as('viewer') });
  await body.dump();
  await dispatcher.close();
  return statusCode;
}

for (const [kind, isTls] of [
  ['HTTP', false],
  ['HTTPS', true],
] as const)
  t.test(
    `a thousand slow connections over ${kind} and a body of 10 MiB: each is refused, the status is read all the while`,
    async (t) => {
      const authority = await makeAuthority('test');
      const server = await makeServer(authority, names, Date.now());
      const tls = { cert: `${server.certificate}\n${authority.certificate}`, key: server.key };
      const ca = isTls ? authority.certificate : undefined;
      const c = await startTrusted(t, isTls ? { tls } : {});
      const url = (await c.listen()).replace('http:', isTls ? 'https:' : 'http:');
      const port = Number(new URL(url).port);
      const answers: Promise<string>[] = [];
      const sockets: Socket[] = [];
      t.teardown(() => {
        for (const socket of sockets) socket.destroy();
      });
      for (let i = 0; i < 1000; i++) {
        const socket = ca === undefined ? connectPlain(port, '127.0.0.1') : connectTls({ port, host: '127.0.0.1', ca });
        sockets.push(socket);
        await once(socket, ca === undefined ? 'connect' : 'secureConnect');
        socket.on('error', () => {});
        socket.write('GET /v1/status HTTP/1.1\r\nhost: x\r\nx-slow: ');
        answers.push(text(socket).catch((error: Error) => error.message));
        if (i % 100 === 0) t.equal(await status(t, c, url, ca), 200, `with ${i} slow connections`);
      }
      t.equal(await status(t, c, url, ca), 200);
      // The oldest have gone, with a reason; the newest still have their time.
      for (const answer of await Promise.all(answers.slice(0, 700)))
        t.match(answer, /^HTTP\/1\.1 408 Request Timeout\r\n[\s\S]*"code":"REQUEST_TIMEOUT"/);
      const dispatcher = new Agent({ connect: ca === undefined ? {} : { ca } });
      t.teardown(() => dispatcher.destroy());
      const large = async (headers: Record<string, string>) => {
        const answer = request(`${url}/v1/pools/web`, {
          dispatcher,
          method: 'PUT',
          headers: { 'content-type': 'application/json', ...headers },
          body: Buffer.alloc(10 * 1024 * 1024, ' '),
        });
        const read = status(t, c, url, ca);
        const { statusCode, body } = await answer;
        t.equal(await read, 200);
        return { statusCode, body: await body.json() };
      };
      t.match(await large(c.as('admin')), { statusCode: 413, body: { code: 'BODY_TOO_LARGE', detail: /1 MiB/ } });
      t.match(await large({}), { statusCode: 401, body: { code: 'UNAUTHENTICATED' } });
      t.equal(c.state.get().revision, 0);
    },
  );

t.test('where the controller was told to trust everybody there are no tokens, and it says so', async (t) => {
  const c = await startController(t);
  isProblem(t, await c.call('GET', '/v1/tokens'), 404, 'NOT_FOUND');
  isProblem(t, await c.call('POST', '/v1/invitations', { agent: 'rs1' }), 404, 'NOT_FOUND');
  isProblem(t, await c.call('GET', '/v1/ca'), 404, 'NOT_FOUND');
  t.strictSame((await c.call('GET', '/v1/whoami')).body, { kind: 'anybody', role: null, name: null });
  const loopback = await startTrusted(t, { reach: undefined as never });
  const answer = await loopback.call('POST', '/v1/invitations', { agent: 'rs1' }, loopback.as('admin'));
  isProblem(t, answer, 409, 'CONFLICT');
  t.match(answer.body.detail, /listens on loopback.*Set "listen"/);
});

t.test('whatever stands in the header, nobody gets in without a token', async (t) => {
  const c = await startTrusted(t);
  await fc.assert(
    fc.asyncProperty(fc.string({ unit: 'binary-ascii', maxLength: 200 }), async (noise) => {
      const value = noise.replace(/[^\x20-\x7e]/g, '');
      const { status } = await c.call('DELETE', '/v1/pools', undefined, { authorization: value });
      return status === 401 || status === 429;
    }),
  );
});
