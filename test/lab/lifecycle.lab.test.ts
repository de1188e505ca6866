import t from 'tap';
import { vip } from '../../infra/lab/hosts.ts';
import { startImages } from '../../infra/lab/parts.ts';
import type { PoolText } from './api.ts';
import { capture } from './capture.ts';
import { followAddresses } from './drift.ts';
import { followRules } from './follow.ts';
import { addLongImage, beginDownload, type Download, fetchImages, longBytes } from './images.ts';
import { holdersOf, ipvs, suppression, sysctls } from './kernel.ts';
import { makeSite } from './site.ts';

const site = await makeSite(t, { extraHosts: ['neighbour'] });
const { api, client, director, rs1, rs2, until } = site;
const neighbour = site.hosts.neighbour!;
const pool: PoolText = {
  vip,
  ports: { '80/tcp': { policy: 'real-servers', scheduler: 'rr' } },
  realServers: { rs1: { address: rs1.ip }, rs2: { address: rs2.ip } },
};
const service = `-A -t ${vip}:80 -s rr`;
const entry = (rs: typeof rs1, weight: number) => `-a -t ${vip}:80 -r ${rs.ip}:80 -g -w ${weight}`;
const becomes = (...lines: string[]) =>
  until(
    async () => (await ipvs(director)).join('\n') === lines.sort().join('\n'),
    `the kernel to have ${lines.join(', ')}`,
  );
const servers = (...names: ('rs1' | 'rs2')[]) => ({
  ...pool,
  realServers: Object.fromEntries(names.map((name) => [name, pool.realServers![name]!])),
});

for (const rs of [rs1, rs2]) {
  await startImages(rs, { count: 1, bytes: 2000 });
  await addLongImage(rs);
}
const asFound = await sysctls(rs1, suppression);
const changes = new Map([
  [director, await followAddresses(director)],
  [rs1, await followAddresses(rs1)],
  [rs2, await followAddresses(rs2)],
]);

// Somebody asks for the VIP all the time, and remembers who answers.
const answers = await capture(neighbour, 'eth0', 'arp[6:2] = 2');
const asking = neighbour.spawn('asking', [
  ...['sh', '-c'],
  `while :; do timeout 0.3 busybox arping -q -f -c 1 -I eth0 ${vip}; busybox usleep 50000; done`,
]);

/** When `wanted` was last true of an address and began to be: milliseconds since the epoch. */
const cameToLo = async (host: typeof rs1) =>
  (await changes.get(host)!()).filter((c) => c.address === `${vip}/32` && !c.deleted).at(-1)?.time ?? Number.NaN;
const left = async (host: typeof rs1) =>
  (await changes.get(host)!()).filter((c) => c.address === `${vip}/32` && c.deleted).at(-1)?.time ?? Number.NaN;

/** A download that this real server is in the midst of. */
const downloadFrom = async (name: string): Promise<Download> => {
  for (;;) {
    const download = await beginDownload(client, vip);
    if (download.servedBy === name) return download;
    await download.finish();
  }
};

await site.startController();
const rules = await followRules(director, vip);

t.test('a real server has weight 0 until its own agent reports', async (t) => {
  await api.put('web', pool);
  t.same(await ipvs(director), [service, entry(rs1, 0), entry(rs2, 0)].sort());
  t.match((await api.status('web')).pools.web?.realServers.rs1?.reason, /no agent has reported for rs1/);
  site.startAgent(rs1);
  await becomes(service, entry(rs1, 100), entry(rs2, 0));
  t.same(await holdersOf(rs1, vip), [`lo ${vip}/32`]);
  t.match(
    await sysctls(rs1, suppression),
    Object.fromEntries(suppression.map((key) => [key, /announce/.test(key) ? '2' : '1'])),
  );
  const [took] = await rules.when((text) => / 100$/m.test(text));
  t.ok(took! >= (await cameToLo(rs1)), 'the weight came after the VIP was on lo');
  const served = (await fetchImages(client, vip, 3)).map(({ servedBy }) => servedBy);
  t.same(served, ['rs1', 'rs1', 'rs1']);
  site.startAgent(rs2);
  await becomes(service, entry(rs1, 100), entry(rs2, 100));
});

t.test('a PUT without a real server drains it: what it serves goes on, and only then it goes', async (t) => {
  const download = await downloadFrom('rs2');
  const { status, body } = await api.put('web', servers('rs1'));
  t.equal(status, 202);
  t.same(body.draining, ['rs2']);
  await becomes(service, entry(rs1, 100), entry(rs2, 0));
  const served = (await fetchImages(client, vip, 4)).map(({ servedBy }) => servedBy);
  t.same(served, Array(4).fill('rs1'), 'new connections go elsewhere');
  t.same(await holdersOf(rs2, vip), [`lo ${vip}/32`]);
  t.ok((await ipvs(director)).includes(entry(rs2, 0)));
  t.equal(await download.finish(), longBytes, 'the download was not cut');
  await becomes(service, entry(rs1, 100));
  const gone = Date.now();
  await until(async () => (await holdersOf(rs2, vip)).length === 0, 'rs2 to drop the VIP');
  const [last] = (await rules.when((text) => text.includes('C000020C'))).slice(-1);
  t.ok((await left(rs2)) > last!, 'the VIP left lo after the entry had left the director');
  t.ok(gone > 0);
  t.same(await sysctls(rs2, suppression), asFound, 'the sysctls are as the agent had found them');
});

t.test('a drain ends at its deadline, whatever still goes on', async (t) => {
  await api.put('web', pool);
  await becomes(service, entry(rs1, 100), entry(rs2, 100));
  const download = await downloadFrom('rs2');
  const began = performance.now();
  const { status } = await api.call('DELETE', '/v1/pools/web/real-servers/rs2?drainMs=4000');
  t.equal(status, 202);
  await becomes(service, entry(rs1, 100), entry(rs2, 0));
  await becomes(service, entry(rs1, 100));
  const took = performance.now() - began;
  t.ok(took >= 4000, `after ${Math.round(took)} ms, not before`);
  await until(async () => (await holdersOf(rs2, vip)).length === 0, 'rs2 to drop the VIP');
  void download.finish();
});

t.test('drainMs=0 deletes a real server at once', async () => {
  await api.put('web', pool);
  await becomes(service, entry(rs1, 100), entry(rs2, 100));
  const download = await downloadFrom('rs2');
  await api.call('DELETE', '/v1/pools/web/real-servers/rs2?drainMs=0&waitMs=60000');
  await becomes(service, entry(rs1, 100));
  await until(async () => (await holdersOf(rs2, vip)).length === 0, 'rs2 to drop the VIP');
  void download.finish();
});

for (const state of ['drain', 'maintenance'] as const)
  t.test(`${state} takes a real server out when its connections have ended, and active brings it back`, async (t) => {
    await api.put('web', pool);
    await becomes(service, entry(rs1, 100), entry(rs2, 100));
    const download = await downloadFrom('rs2');
    await api.call('PATCH', '/v1/pools/web/real-servers/rs2', { state });
    await becomes(service, entry(rs1, 100), entry(rs2, 0));
    t.match((await api.status('web')).pools.web?.realServers.rs2, { weight: 0, drain: { done: false } });
    t.equal(await download.finish(), longBytes);
    await becomes(service, entry(rs1, 100));
    t.match((await api.status('web')).pools.web?.realServers.rs2, { weight: 0, drain: { done: true } });
    t.same(await holdersOf(rs2, vip), [`lo ${vip}/32`], 'it stays a member, with its VIP');
    await api.call('PATCH', '/v1/pools/web/real-servers/rs2', { state: 'active' });
    await becomes(service, entry(rs1, 100), entry(rs2, 100));
  });

t.test('active calls a drain off', async (t) => {
  const download = await downloadFrom('rs2');
  await api.call('PATCH', '/v1/pools/web/real-servers/rs2', { state: 'drain' });
  await becomes(service, entry(rs1, 100), entry(rs2, 0));
  await api.call('PATCH', '/v1/pools/web/real-servers/rs2', { state: 'active' });
  await becomes(service, entry(rs1, 100), entry(rs2, 100));
  t.equal(await download.finish(), longBytes);
});

t.test('a VIP stays while any pool has it', async (t) => {
  await api.put('more', { vip, ports: { '8080/tcp': { policy: 'director' } } });
  await api.call('DELETE', '/v1/pools/more?waitMs=60000');
  t.same(await holdersOf(director, vip), [`eth0 ${vip}/32`]);
  t.same(await ipvs(director), [service, entry(rs1, 100), entry(rs2, 100)].sort());
});

t.test('a deleted pool: its services go, then the director’s VIP, then the agents’', async (t) => {
  await api.call('DELETE', '/v1/pools/web');
  for (const host of [director, rs1, rs2])
    await until(async () => (await holdersOf(host, vip)).length === 0, `${host.name} to drop the VIP`);
  t.same(await ipvs(director), []);
  const [last] = (await rules.when((text) => text !== '')).slice(-1);
  const fromDirector = await left(director);
  t.ok(fromDirector > last!, 'the director’s VIP after the services');
  for (const rs of [rs1, rs2]) {
    t.ok((await left(rs)) > fromDirector, `that of ${rs.name} after the director’s`);
    t.same(await sysctls(rs, suppression), asFound);
  }
});

t.test('at no moment of all this did another host than the director answer ARP for the VIP', async (t) => {
  rules.stop();
  await asking.end('SIGKILL');
  const about = (frames: { text: string; from: string }[]) =>
    frames.filter(({ text }) => text.includes(`Reply ${vip} is-at`));
  const frames = about(await answers.stop(() => true, 'the end'));
  t.ok(frames.length > 20, `${frames.length} answers`);
  t.same([...new Set(frames.map(({ from }) => from))], [director.mac]);
});
