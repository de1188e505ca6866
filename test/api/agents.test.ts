import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import { fitReport, isProblem, startController, vip, webPool } from './site.ts';

const desired = '/v1/agents/rs1/desired';
const report = '/v1/agents/rs1/report';

t.test(
  'an agent is told the VIPs of its pools, with its address and ports there; a stranger is told none',
  async (t) => {
    const c = await startController(t);
    await c.call('PUT', '/v1/pools/web', webPool());
    const https = { ...webPool(), ports: { '443/tcp': { policy: 'real-servers' } } };
    await c.call('PUT', '/v1/pools/tls', https);
    const php = { vip: '192.0.2.101', ports: { '80/tcp': { policy: 'director' } }, realServers: webPool().realServers };
    await c.call('PUT', '/v1/pools/php', php);
    t.match(await c.call('GET', desired), { status: 200 });
    t.strictSame((await c.call('GET', desired)).body, {
      revision: 3,
      vips: [{ vip, address: '192.0.2.11', ports: ['443/tcp', '80/tcp'] }],
      probers: [],
    });
    t.strictSame((await c.call('GET', '/v1/agents/stranger/desired')).body, { revision: 3, vips: [], probers: [] });
  },
);

t.test('a poll with another revision than the stored one is answered at once', async (t) => {
  const c = await startController(t);
  await c.call('PUT', '/v1/pools/web', webPool());
  for (const query of ['', '?revision=0', '?revision=7', '?waitMs=60000', '?revision=0&waitMs=60000'])
    t.equal((await c.call('GET', `${desired}${query}`)).body.revision, 1, query);
});

t.test('a poll with the stored revision waits for the next, or for waitMs', async (t) => {
  const c = await startController(t);
  await c.call('PUT', '/v1/pools/web', webPool());
  t.equal((await c.call('GET', `${desired}?revision=1&waitMs=50`)).body.revision, 1, 'nothing came');
  let answered = false;
  const polls = ['rs1', 'rs2', 'other'].map((name) =>
    c.call('GET', `/v1/agents/${name}/desired?revision=1&waitMs=60000`).finally(() => {
      answered = true;
    }),
  );
  await c.whenWaiting(3);
  await c.call('PUT', '/v1/pools/web', webPool());
  await c.when(() => c.director.last()?.revision === 1);
  t.notOk(answered, 'neither what changes nothing nor a pass over the kernel answers it');
  await c.call('PUT', '/v1/pools/web', { ...webPool(), vip: '192.0.2.101' });
  const [rs1, rs2, other] = await Promise.all(polls);
  t.match(
    rs1?.body.vips,
    [{ vip: '192.0.2.100' }, { vip: '192.0.2.101' }],
    'the old one until the director is rid of it',
  );
  t.match([rs1?.body.revision, rs2?.body.revision, other?.body.revision], [2, 2, 2]);
});

t.test('a poll ends when the client goes, and is answered when the server closes', async (t) => {
  const c = await startController(t);
  await c.call('PUT', '/v1/pools/web?waitMs=5000', webPool());
  const base = await c.listen();
  const url = `${base}${desired}?revision=1&waitMs=60000`;
  const leaving = new AbortController();
  const gone = fetch(url, { signal: leaving.signal });
  const stays = fetch(url);
  await c.whenWaiting(2);
  leaving.abort();
  await t.rejects(gone);
  await c.whenWaiting(1);
  await c.stop();
  const answer = await stays;
  t.equal(answer.status, 200);
  t.match(await answer.json(), { revision: 1 });
});

t.test('a report is kept, gives the real server its weight, and outlives a restart', async (t) => {
  const c = await startController(t);
  await c.call('PUT', '/v1/pools/web?waitMs=5000', webPool());
  const sent = await c.call('POST', report, fitReport('rs1', '192.0.2.11', [vip], { revision: 1 }));
  t.match(sent, { status: 200, body: { revision: 1 } });
  const weight = () => c.kernel.world.services.get(`${vip}:80/tcp`)?.destinations[0]?.weight;
  await c.when(() => weight() === 100);
  const { body } = await c.call('GET', '/v1/agents');
  t.strictSame(Object.keys(body.agents), ['rs1']);
  t.match(body.agents.rs1, { machineId: 'machine-of-rs1', revision: 1, addresses: ['192.0.2.11'] });
  t.ok(Date.now() - Date.parse(body.agents.rs1.lastReport) < 10_000);
  await c.stop();
  t.match(JSON.parse(readFileSync(join(c.dir, 'agents.json'), 'utf8')), {
    agents: { rs1: { addresses: ['192.0.2.11'] } },
  });
  const again = await startController(t, { dir: c.dir });
  t.match((await again.call('GET', '/v1/agents')).body.agents.rs1, {
    lastReport: null,
    vips: { [vip]: { present: true } },
  });
});

t.test('addresses in a report count in whatever spelling', async (t) => {
  const c = await startController(t);
  const v6 = '2001:db8::100';
  await c.call('PUT', '/v1/pools/web', { ...webPool(), vip: v6, realServers: { rs1: { address: '2001:db8::b' } } });
  const vips = { '2001:DB8:0::100': { present: true, suppressed: true } };
  await c.call('POST', report, { ...fitReport('rs1', '2001:0DB8::000B', []), vips });
  await c.when(() => c.director.last()?.standings.get('web')?.realServers.get('rs1')?.serving ?? false);
});

t.test('another machine under a known name is refused and is an event, until the old one is forgotten', async (t) => {
  const c = await startController(t);
  await c.call('PUT', '/v1/pools/web', webPool());
  await c.call('POST', report, fitReport('rs1', '192.0.2.11', [vip]));
  const other = fitReport('rs1', '192.0.2.66', [], { machineId: 'another' });
  const refused = await c.call('POST', report, other);
  isProblem(t, refused, 409, 'AGENT_OTHER_MACHINE');
  t.match(
    refused.body.detail,
    /another machine reports under the name "rs1" \(from 192\.0\.2\.66; 192\.0\.2\.11 is known\)/,
  );
  t.match(refused.body.detail, /DELETE \/v1\/agents\/rs1/);
  t.ok(c.events.since().some(({ type, agent }) => type === 'agent-refused' && agent === 'rs1'));
  t.equal((await c.call('GET', '/v1/agents')).body.agents.rs1.machineId, 'machine-of-rs1');
  t.match(await c.call('DELETE', '/v1/agents/rs1'), { status: 200, body: { forgotten: 'rs1' } });
  t.equal((await c.call('POST', report, other)).status, 200);
  t.equal((await c.call('GET', '/v1/agents')).body.agents.rs1.machineId, 'another');
});

t.test('a forgotten agent takes its real server out of service', async (t) => {
  const c = await startController(t);
  await c.call('PUT', '/v1/pools/web?waitMs=5000', webPool());
  c.attest('rs1', '192.0.2.11', [vip]);
  const serving = () => c.director.last()?.standings.get('web')?.realServers.get('rs1')?.serving;
  await c.when(() => serving() === true);
  t.equal((await c.call('DELETE', '/v1/agents/rs1')).status, 200);
  await c.when(() => serving() === false);
  t.strictSame((await c.call('GET', '/v1/agents')).body, { agents: {} });
  isProblem(t, await c.call('DELETE', '/v1/agents/rs1'), 404, 'NOT_FOUND');
  isProblem(t, await c.call('DELETE', '/v1/agents/constructor'), 404, 'NOT_FOUND');
});

t.test('what a newer agent tells besides is passed over', async (t) => {
  const c = await startController(t);
  const good = fitReport('rs1', '192.0.2.11', [vip]);
  const newer = { ...good, load: 1, vips: { [vip]: { ...good.vips[vip], since: 1 } } };
  t.equal((await c.call('POST', report, newer)).status, 200);
  t.notMatch(JSON.stringify((await c.call('GET', '/v1/agents')).body), /load|since/);
});

t.test('a report that is none is refused with its fields, and nothing of it is kept', async (t) => {
  const c = await startController(t);
  const good = fitReport('rs1', '192.0.2.11', [vip]);
  const wrong: [unknown, string][] = [
    [{ ...good, protocol: 2 }, 'protocol'],
    [{ ...good, machineId: '' }, 'machineId'],
    [{ ...good, addresses: ['here'] }, 'addresses.0'],
    [{ ...good, vips: { nowhere: { present: true, suppressed: true } } }, 'vips.nowhere'],
    [{ ...good, vips: { [vip]: { present: 1, suppressed: true } } }, `vips.${vip}.present`],
    [{ ...good, revision: -1 }, 'revision'],
    [{ ...good, problems: ['x'.repeat(501)] }, 'problems.0'],
    [[], ''],
  ];
  for (const [body, path] of wrong) isProblem(t, await c.call('POST', report, body), 400, 'INVALID_REQUEST', path);
  const newer = await c.call('POST', report, { ...good, protocol: 2 });
  t.match(newer.body.detail, /speaks agent protocol 1; install the same version on both/);
  isProblem(t, await c.call('POST', '/v1/agents/RS_1/report', good), 400, 'INVALID_REQUEST', 'name');
  isProblem(t, await c.call('GET', '/v1/agents/rs1/desired?revision=x'), 400, 'INVALID_REQUEST', 'revision');
  isProblem(t, await c.call('GET', '/v1/agents/rs1/desired?waitMs=60001'), 400, 'INVALID_REQUEST', 'waitMs');
  t.strictSame((await c.call('GET', '/v1/agents')).body, { agents: {} });
});
