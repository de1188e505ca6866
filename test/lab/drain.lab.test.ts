import t from 'tap';
import { vip } from '../../infra/lab/hosts.ts';
import { startImages } from '../../infra/lab/parts.ts';
import type { PoolText } from './api.ts';
import { ipvs } from './kernel.ts';
import { startManyConnections } from './load.ts';
import { makeSite } from './site.ts';

const rounds = process.env.LONG ? 60 : 2;
const site = await makeSite(t);
const { api, client, director, rs1, rs2, until } = site;
if (rounds > 10) t.setTimeout(3_600_000);
const web: PoolText = {
  vip,
  ports: { '80/tcp': { policy: 'real-servers', scheduler: 'wlc' } },
  realServers: { rs1: { address: rs1.ip }, rs2: { address: rs2.ip } },
  check: { type: 'http', path: '/healthz', timeoutMs: 5000, intervalMs: 500 },
};
for (const rs of [rs1, rs2]) {
  await startImages(rs, { count: 1, bytes: 2000, requestsPerConnection: 200 });
  site.startAgent(rs);
}
let controller = await site.startController();
await api.put('web', web);
const entry = async (rs: typeof rs1) => (await ipvs(director)).find((line) => line.includes(` -r ${rs.ip}:80 `));
const serves = (rs: typeof rs1) => until(async () => (await entry(rs))?.endsWith('-w 100'), `${rs.name} to serve`);
for (const rs of [rs1, rs2]) await serves(rs);

t.test(`${rounds} rounds of drain and return under 100 keep-alive connections fail no request`, async (t) => {
  const load = startManyConnections(client, vip);
  for (let round = 0; round < rounds; round++) {
    const rs = round % 2 ? rs1 : rs2;
    const member = `/v1/pools/web/real-servers/${rs.name}`;
    t.ok((await api.call('PATCH', `${member}?drainMs=120000`, { state: 'drain' })).status < 300);
    const drain = async () => (await api.status('web')).pools.web?.realServers[rs.name]?.drain;
    await until(async () => (await drain())?.done, 'the drain to end');
    await until(async () => (await entry(rs)) === undefined, 'the destination to go');
    t.equal((await api.call('PATCH', member, { state: 'active' })).status, 200);
    await serves(rs);
  }
  const { requests, ...failures } = await load.stop();
  t.same(failures, { connect: 0, read: 0, write: 0, status: 0, timeout: 0 });
  t.ok(requests > rounds * 100, `${requests} requests`);
});

t.test('a drain whose deadline was far off ended as soon as no connection was left, and its end is told', async (t) => {
  const drained = (await api.events()).filter(({ type }) => type === 'drained');
  t.equal(drained.length, rounds);
});

t.test('a drain goes on over a restart of the controller, and is cancelled by "active"', async (t) => {
  const restart = async () => {
    await controller.end();
    controller = await site.startController();
  };
  await restart();
  const load = startManyConnections(client, vip);
  await until(async () => ((await api.status('web')).pools.web?.realServers.rs1?.weight ?? 0) > 0, 'rs1 to serve');
  await api.call('PATCH', '/v1/pools/web/real-servers/rs1?drainMs=600000', { state: 'drain' });
  await until(async () => (await entry(rs1))?.endsWith('-w 0'), 'the weight to fall');
  await restart();
  const { drain } = (await api.status('web')).pools.web?.realServers.rs1 ?? {};
  t.equal(drain?.done, false, 'it goes on');
  await api.call('PATCH', '/v1/pools/web/real-servers/rs1', { state: 'active' });
  await serves(rs1);
  const { requests: _, ...failures } = await load.stop();
  t.same(failures, { connect: 0, read: 0, write: 0, status: 0, timeout: 0 });
});
