import { renameSync, rmSync, writeFileSync } from 'node:fs';
import fc from 'fast-check';
import t from 'tap';
import { holds } from '../property.ts';
import { isProblem, startController, vip, webPool, whole } from './site.ts';

t.test('waitMs answers when the kernel has it', async (t) => {
  const c = await startController(t);
  const put = await c.call('PUT', '/v1/pools/web?waitMs=5000', webPool());
  t.match(put, { status: 201, body: { reconciled: true, missing: [] } });
  t.ok(c.kernel.world.services.has(`${vip}:80/tcp`));
  t.notOk(c.kernel.world.services.has(`${vip}:8080/tcp`), 'the port of policy director has no service');
  t.ok(c.kernel.world.addresses.some(({ address, interface: on }) => address === vip && on === 'eth0'));
  t.strictSame(c.kernel.world.announced, [vip]);
  const status = (await c.call('GET', '/v1/status')).body;
  t.match(status, { storedRevision: 1, reconciledRevision: 1 });
});

t.test('without waitMs the answer does not wait, and says that the kernel does not have it yet', async (t) => {
  const c = await startController(t);
  const put = await c.call('PUT', '/v1/pools/web', webPool());
  t.match(put, { status: 201, body: { reconciled: false, missing: [/not been brought up to this revision/] } });
});

t.test('a waitMs that runs out is 202 with what is missing, in words', async (t) => {
  const c = await startController(t);
  c.kernel.world.lan.set(vip, '02:00:00:00:00:99');
  const put = await c.call('PUT', '/v1/pools/web?waitMs=300', webPool());
  t.match(put, { status: 202, body: { revision: 1, reconciled: false } });
  t.match(put.body.missing, [/another host on the LAN answers for 192\.0\.2\.100: 02:00:00:00:00:99/]);
  t.ok(c.kernel.world.services.has(`${vip}:80/tcp`), 'IPVS is programmed all the same');
  t.match(await c.call('PUT', '/v1/pools/web?waitMs=0', webPool()), { status: 202, body: { revision: 1 } });
  t.equal((await c.call('PUT', '/v1/pools/web', webPool())).status, 200, 'nobody waited');
});

t.test('what the kernel refuses is missing from that pool, and not from others', async (t) => {
  const c = await startController(t);
  c.kernel.refuse = (step) => ('service' in step && step.service.vip === vip ? 'ENOENT' : undefined);
  const put = await c.call('PUT', '/v1/pools/web?waitMs=300', webPool());
  t.match(put, { status: 202, body: { missing: [/ipvsadm -A -t 192\.0\.2\.100:80 -s wlc: ENOENT/] } });
  const img = { ...webPool(), vip: '192.0.2.101' };
  t.match(await c.call('PUT', '/v1/pools/img?waitMs=5000', img), { status: 201, body: { reconciled: true } });
});

t.test('a loop that fails is named in the answer, in status and by /healthz', async (t) => {
  const c = await startController(t);
  t.match(await c.call('GET', '/healthz'), { status: 200, body: { status: 'ok' } });
  c.kernel.blind = 'ENOBUFS';
  const put = await c.call('PUT', '/v1/pools/web?waitMs=300', webPool());
  t.match(put, { status: 202, body: { reconciled: false, missing: [/read the IPVS table: ENOBUFS/] } });
  t.match((await c.call('GET', '/v1/status')).body.problems, [/read the IPVS table: ENOBUFS/]);
  const sick = await c.call('GET', '/healthz');
  isProblem(t, sick, 503, 'NOT_READY');
  t.equal(sick.headers['retry-after'], '1');
  isProblem(t, await c.call('POST', '/v1/plan', { pools: { web: webPool() } }), 503, 'NOT_READY');
  c.kernel.blind = undefined;
  t.match(await c.call('PUT', '/v1/pools/web?waitMs=5000', webPool()), { status: 200, body: { reconciled: true } });
  t.equal((await c.call('GET', '/healthz')).status, 200);
});

t.test('waitMs and drainMs are whole numbers within bounds, and no other parameter is taken', async (t) => {
  const c = await startController(t);
  const wrong: [string, string][] = [
    ['waitMs=soon', 'waitMs'],
    ['waitMs=-1', 'waitMs'],
    ['waitMs=1.5', 'waitMs'],
    ['waitMs=60001', 'waitMs'],
    ['waitMs=1&waitMs=2', 'waitMs'],
    ['waitMs=Infinity', 'waitMs'],
    ['drainMs=86400001', 'drainMs'],
    ['wait=5', 'wait'],
    ['__proto__=1', '__proto__'],
  ];
  for (const [query, path] of wrong) {
    const answer = await c.call('PUT', `/v1/pools/web?${query}`, webPool());
    isProblem(t, answer, 400, 'INVALID_REQUEST', path);
    t.match(answer.body.detail, /^query parameter /, query);
  }
  t.equal(c.state.get().revision, 0);
});

t.test('If-Match lets a write through only at the revision of its pool', async (t) => {
  const c = await startController(t);
  await c.call('PUT', '/v1/pools/web', webPool());
  await c.call('PUT', '/v1/pools/img', { ...webPool(), vip: '192.0.2.101' });
  const before = whole(c);
  const rs1 = { address: '192.0.2.11', weight: 9 };
  const writes: [string, string, unknown][] = [
    ['PUT', '/v1/pools/web', { ...webPool(), realServers: {} }],
    ['PATCH', '/v1/pools/web', { realServers: { rs1: { weight: 9 } } }],
    ['DELETE', '/v1/pools/web', undefined],
    ['PUT', '/v1/pools/web/real-servers', {}],
    ['PATCH', '/v1/pools/web/real-servers', { rs1: null }],
    ['DELETE', '/v1/pools/web/real-servers', undefined],
    ['PUT', '/v1/pools/web/real-servers/rs1', rs1],
    ['PATCH', '/v1/pools/web/real-servers/rs1', { weight: 9 }],
    ['DELETE', '/v1/pools/web/real-servers/rs1', undefined],
  ];
  for (const [method, url, body] of writes)
    for (const tag of ['"2"', '"0"', 'W/"1"', '"x"', '']) {
      const answer = await c.call(method, url, body, { 'if-match': tag });
      isProblem(t, answer, 412, 'REVISION_MISMATCH');
      t.match(answer.body.detail, /the revision is "1": read it again/, `${method} ${url} at ${tag}`);
    }
  for (const [method, body] of [
    ['PUT', { pools: {} }],
    ['DELETE', undefined],
  ] as const)
    isProblem(t, await c.call(method, '/v1/pools', body, { 'if-match': '"1"' }), 412, 'REVISION_MISMATCH');
  const unknown = await c.call('PUT', '/v1/pools/new', webPool(), { 'if-match': '*' });
  isProblem(t, unknown, 412, 'REVISION_MISMATCH');
  t.match(unknown.body.detail, /it does not exist/);
  t.equal(whole(c), before);
});

t.test('If-Match with the right revision, several, or a star lets the write through', async (t) => {
  const c = await startController(t);
  await c.call('PUT', '/v1/pools/web', webPool());
  await c.call('PUT', '/v1/pools/img', { ...webPool(), vip: '192.0.2.101' });
  let { etag } = (await c.call('GET', '/v1/pools/web')).headers;
  for (const [weight, tags] of [
    [1, etag],
    [2, undefined],
    [3, `"77", *`],
  ] as const) {
    const match = tags ?? `"77" , ${etag}`;
    const patch = await c.call('PATCH', '/v1/pools/web/real-servers/rs1', { weight }, { 'if-match': match });
    t.equal(patch.status, 200, match);
    etag = patch.headers.etag;
    t.equal(etag, (await c.call('GET', '/v1/pools/web')).headers.etag, 'the write answers with the new ETag');
  }
  const all = (await c.call('GET', '/v1/pools')).headers.etag ?? '';
  t.equal((await c.call('PUT', '/v1/pools', { pools: {} }, { 'if-match': all })).status, 200);
});

t.test('If-None-Match: * makes, and never replaces', async (t) => {
  const c = await startController(t);
  const only = { 'if-none-match': '*' };
  t.equal((await c.call('PUT', '/v1/pools/web', webPool(), only)).status, 201);
  t.equal((await c.call('PUT', '/v1/pools/web/real-servers/rs3', { address: '192.0.2.13' }, only)).status, 201);
  const before = whole(c);
  isProblem(t, await c.call('PUT', '/v1/pools/web', webPool(), only), 412, 'REVISION_MISMATCH');
  const rs3 = await c.call('PUT', '/v1/pools/web/real-servers/rs3', { address: '192.0.2.14' }, only);
  isProblem(t, rs3, 412, 'REVISION_MISMATCH');
  isProblem(t, await c.call('PUT', '/v1/pools', { pools: {} }, only), 412, 'REVISION_MISMATCH');
  t.equal(whole(c), before);
});

t.test('of writes that race with If-Match exactly one wins', async (t) => {
  const c = await startController(t);
  await c.call('PUT', '/v1/pools/web', webPool());
  holds(
    t,
    'the winner is what is stored',
    fc.asyncProperty(fc.integer({ min: 2, max: 8 }), fc.integer({ min: 1, max: 60_000 }), async (writers, seed) => {
      const { etag = '' } = (await c.call('GET', '/v1/pools/web')).headers;
      const { weight: is } = c.state.get().pools.web?.pool.realServers.rs1 ?? {};
      // Each writer wants a weight of its own, none the one that is there.
      const wanted = Array.from({ length: writers }, (_, i) => seed + i + (seed + i >= (is ?? 0) ? 1 : 0));
      const answers = await Promise.all(
        wanted.map((weight) =>
          c.call('PUT', '/v1/pools/web/real-servers/rs1', { address: '192.0.2.11', weight }, { 'if-match': etag }),
        ),
      );
      const won = answers.flatMap(({ status }, i) => (status === 200 ? [wanted[i]] : []));
      const lost = answers.filter(({ status }) => status === 412);
      const stored = c.state.get().pools.web?.pool.realServers.rs1?.weight;
      return won.length === 1 && lost.length === writers - 1 && stored === won[0];
    }),
    50,
  );
});

t.test('writes that race without If-Match are all stored, one after the other', async (t) => {
  const c = await startController(t);
  await c.call('PUT', '/v1/pools/web', { ...webPool(), realServers: {} });
  const names = Array.from({ length: 20 }, (_, i) => `rs${i + 1}`);
  const answers = await Promise.all(
    names.map((rs, i) => c.call('PUT', `/v1/pools/web/real-servers/${rs}`, { address: `192.0.2.${i + 11}` })),
  );
  t.ok(answers.every(({ status }) => status === 201));
  t.equal(new Set(answers.map(({ body }) => body.revision)).size, 20, 'each has its revision');
  t.strictSame(Object.keys((await c.call('GET', '/v1/pools/web/real-servers')).body).sort(), names.sort());
});

t.test('a change that cannot be saved is answered STATE_NOT_SAVED and changes nothing', async (t) => {
  const c = await startController(t);
  await c.call('PUT', '/v1/pools/web?waitMs=5000', webPool());
  const before = whole(c);
  const revision = c.state.get().revision;
  renameSync(c.dir, `${c.dir}.away`);
  writeFileSync(c.dir, 'no folder any more');
  const writes: [string, string, unknown][] = [
    ['PUT', '/v1/pools', { pools: {} }],
    ['DELETE', '/v1/pools', undefined],
    ['PUT', '/v1/pools/new', { ...webPool(), vip: '192.0.2.101' }],
    ['PATCH', '/v1/pools/web', { realServers: { rs1: null } }],
    ['DELETE', '/v1/pools/web', undefined],
    ['PUT', '/v1/pools/web/real-servers', {}],
    ['PUT', '/v1/pools/web/real-servers/rs3', { address: '192.0.2.13' }],
    ['DELETE', '/v1/pools/web/real-servers/rs1?drainMs=0', undefined],
  ];
  for (const [method, url, body] of writes) {
    const answer = await c.call(method, url, body);
    isProblem(t, answer, 507, 'STATE_NOT_SAVED');
    t.match(answer.body.detail, /state\.json cannot be written .*nothing was changed\. Make room/, `${method} ${url}`);
    t.equal(answer.headers['retry-after'], '1');
  }
  t.equal(whole(c), before);
  t.equal((await c.call('PUT', '/v1/pools/web', webPool())).status, 200, 'what changes nothing needs no disk');
  t.equal((await c.call('GET', '/v1/pools/web')).status, 200);
  t.ok(c.kernel.world.services.has(`${vip}:80/tcp`));
  rmSync(c.dir);
  renameSync(`${c.dir}.away`, c.dir);
  const retried = await c.call('DELETE', '/v1/pools/web?waitMs=5000');
  t.match(retried, { status: 200, body: { revision: revision + 1 } }, 'the same request succeeds once there is room');
});

t.test('a waiting write answers when the server closes', async (t) => {
  const c = await startController(t);
  c.kernel.world.lan.set(vip, '02:00:00:00:00:99');
  const base = await c.listen();
  const waiting = fetch(`${base}/v1/pools/web?waitMs=60000`, {
    method: 'PUT',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify(webPool()),
  });
  await c.when(() => c.director.last()?.revision === 1);
  await c.stop();
  const answer = await waiting;
  t.equal(answer.status, 202);
  t.match(await answer.json(), { revision: 1, reconciled: false });
});
