import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import t, { type Test } from 'tap';
import type { Host } from '../../infra/lab/host.ts';
import { vip } from '../../infra/lab/hosts.ts';
import type { PoolText } from './api.ts';
import { addresses, holdersOf, ipvs, snapshot, suppression, sysctls } from './kernel.ts';
import { startListeners } from './listeners.ts';
import { reboot } from './reboot.ts';
import { agentFile, agentFlags, type Flags, makeSite, ours } from './site.ts';

const site = await makeSite(t);
const { api, director, rs1, rs2, until } = site;
const pool = (address: string, more: PoolText['realServers'] = {}): PoolText => ({
  vip: address,
  ports: { '80/tcp': { policy: 'real-servers' } },
  realServers: { rs1: { address: rs1.ip }, ...more },
});
const weightOf = async (address: string, rs: Host): Promise<string | undefined> =>
  (await ipvs(director)).find((line) => line.startsWith(`-a -t ${address}:80 -r ${rs.ip}:`))?.split(' -w ')[1];
const machineOf = async (name: string) =>
  (await api.call<{ agents: Record<string, { machineId: string }> }>('GET', '/v1/agents')).body.agents[name]?.machineId;
const reasonOf = async (name: string, rs: string) =>
  (await api.status(name)).pools[name]?.realServers[rs]?.reason ?? '';
const suppressed = { arp_ignore: '1', arp_announce: '2' };
const isSuppressed = async (host: Host) =>
  Object.entries(await sysctls(host, suppression)).every(([key, value]) =>
    Object.entries(suppressed).some(([name, wanted]) => key.endsWith(name) && value === wanted),
  );

/** Starts an agent for one test. */
const startAgent = (t: Test, host: Host, flags?: Flags) => {
  const agent = site.startAgent(host, flags);
  t.teardown(() => agent.end());
};

/** What an agent has written once it has looked at its host, in this boot. */
const hasLooked = (host: Host, boot: string) =>
  until(async () => (await readFile(join(host.dir, 'state/agent.json'), 'utf8')).includes(boot), 'the agent to look');

/** Runs an agent to its end, which must be soon. */
const run = (host: Host, flags: Flags = {}, before: string[] = []) =>
  host.exec([...before, ...ours(agentFile, { ...agentFlags(host, director), ...flags })], {
    reject: false,
    timeout: 180_000,
  });

for (const rs of [rs1, rs2]) startListeners(rs, ['80/tcp']);

t.test('an agent that has never heard of its controller changes nothing, and waits for it', async (t) => {
  const boot = await reboot(rs1);
  const before = await snapshot(rs1);
  startAgent(t, rs1);
  await hasLooked(rs1, boot);
  t.equal(await snapshot(rs1), before);
  await site.startController();
  await api.put('web', pool(vip));
  await until(async () => (await weightOf(vip, rs1)) === '100', 'the weight');
  t.same(await holdersOf(rs1, vip), [`lo ${vip}/32`]);
  t.ok(await isSuppressed(rs1));
});

t.test('an agent whose controller is cut off keeps its host as it is, and mends it', async (t) => {
  startAgent(t, rs2);
  await api.put('web', pool(vip, { rs2: { address: rs2.ip } }));
  await until(async () => (await weightOf(vip, rs2)) === '100', 'the weight');
  const [before, kernel] = [await snapshot(rs2), await ipvs(director)];
  await rs2.cable('down');
  await rs2.exec(['ip', 'addr', 'del', `${vip}/32`, 'dev', 'lo']);
  await until(async () => (await holdersOf(rs2, vip)).length === 1, 'the VIP to be back');
  await rs2.cable('up');
  const cut = new Date().toISOString();
  await until(async () => ((await api.lastReport('rs2')) ?? '') > cut, 'its next report');
  t.equal(await snapshot(rs2), before);
  t.same(await ipvs(director), kernel);
});

t.test('a real server that reboots without the controller has its VIP again from its disk', async (t) => {
  await reboot(rs1);
  t.same(await holdersOf(rs1, vip), []);
  startAgent(t, rs1, { controller: 'http://192.0.2.99:7100' });
  await until(async () => (await holdersOf(rs1, vip)).length === 1, 'the VIP');
  t.ok(await isSuppressed(rs1));
});

t.test('an agent waits for an interface that comes late', async (t) => {
  const away = `ip addr del ${rs1.ip}/24 dev eth0; ip link set eth0 down; ip link set eth0 name eth7`;
  const back = `ip link set eth7 name eth0; ip link set eth0 up; ip addr add ${rs1.ip}/24 dev eth0; ip route add default via 192.0.2.1`;
  const boot = await reboot(rs1, away);
  startAgent(t, rs1);
  await hasLooked(rs1, boot);
  t.same(await holdersOf(rs1, vip), []);
  const start = new Date().toISOString();
  await rs1.exec(['sh', '-ec', back]);
  await until(async () => (await holdersOf(rs1, vip)).length === 1, 'the VIP');
  t.ok(await isSuppressed(rs1));
  await until(async () => ((await api.lastReport('rs1')) ?? '') > start, 'its next report');
});

for (const [what, address, flags, reason] of [
  ['outside the networks of allowedVips', '192.0.2.101', { 'allowed-vips': '10.0.0.0/8,192.0.2.96/30' }, /allowedVips/],
  ['that is its gateway', '192.0.2.1', {}, /gateway/],
  ['that is its controller’s address', director.ip, {}, /controller/],
  ['that it has for something else', '192.0.2.61', {}, /192\.0\.2\.61 is on eth0/],
] as const)
  t.test(`an agent refuses a VIP ${what}, with the reason, and takes the others`, async (t) => {
    await rs1.exec(['ip', 'addr', 'add', '192.0.2.61/24', 'dev', 'eth0']);
    const before = (await addresses(rs1)).filter(({ dev }) => dev === 'eth0');
    await api.put('bad', pool(address), 1000);
    await api.put('more', pool('192.0.2.98'));
    startAgent(t, rs1, flags);
    await until(async () => reason.test(await reasonOf('bad', 'rs1')), 'the reason in the status');
    t.equal(await weightOf(address, rs1), '0');
    t.same(await holdersOf(rs1, address), address === '192.0.2.61' ? ['eth0 192.0.2.61/24'] : []);
    await until(async () => (await weightOf('192.0.2.98', rs1)) === '100', 'the weight of the good one');
    await api.call('DELETE', '/v1/pools/bad?waitMs=60000');
    await api.call('DELETE', '/v1/pools/more?waitMs=60000');
    await until(async () => (await holdersOf(rs1, '192.0.2.98')).length === 0, 'it to go');
    t.same(
      (await addresses(rs1)).filter(({ dev }) => dev === 'eth0'),
      before,
      'its own addresses are untouched',
    );
    await rs1.exec(['ip', 'addr', 'del', '192.0.2.61/24', 'dev', 'eth0']);
  });

t.test('a real server that the pool gives another address is unfit, and is told why', async (t) => {
  await api.put('odd', { ...pool('192.0.2.101'), realServers: { rs9: { address: '192.0.2.77' } } });
  startAgent(t, rs2, { name: 'rs9' });
  await until(async () => /without 192\.0\.2\.77/.test(await reasonOf('odd', 'rs9')), 'the reason');
  t.same(await holdersOf(rs2, '192.0.2.101'), []);
  t.ok((await ipvs(director)).includes('-a -t 192.0.2.101:80 -r 192.0.2.77:80 -g -w 0'));
  await api.call('DELETE', '/v1/pools/odd?waitMs=60000');
});

t.test('a second machine under a known name is refused, with an event, and changes nothing', async (t) => {
  startAgent(t, rs1);
  const [weight, known] = [await weightOf(vip, rs1), await machineOf('rs1')];
  startAgent(t, rs2, { name: 'rs1' });
  const events = async () => (await api.events()).filter(({ type }) => type === 'agent-refused');
  await until(async () => (await events()).length > 0, 'the event');
  t.match((await events())[0], { agent: 'rs1', message: new RegExp(`from ${rs2.ip};.*DELETE /v1/agents/rs1`) });
  await t.rejects(api.speakAs({ rs1: { addresses: [rs1.ip], vips: [] } }), /"status":409/);
  t.equal(await machineOf('rs1'), known);
  t.equal(await weightOf(vip, rs1), weight);
});

t.test('an agent on the director ends with 2', async (t) => {
  const { exitCode, stderr } = await run(director, { name: 'rs3' });
  t.equal(exitCode, 2);
  t.match(stderr, /this is the director/);
});

t.test('an agent without the privilege ends with 3 and says which', async (t) => {
  const { exitCode, stderr } = await run(rs1, {}, ['setpriv', '--bounding-set=-net_admin', '--inh-caps=-net_admin']);
  t.equal(exitCode, 3);
  t.match(stderr, /CAP_NET_ADMIN/);
});

for (const [what, text] of [
  ['cut off', '{"version":1,"desired":{"rev'],
  ['of a newer version', '{"version":2}'],
] as const)
  t.test(`with agent.json ${what} the agent does not start, and touches neither file nor kernel`, async (t) => {
    const file = join(rs1.dir, 'state/agent.json');
    const [good, kernel] = [await readFile(file, 'utf8'), await snapshot(rs1)];
    await writeFile(file, text);
    const { exitCode, stderr } = await run(rs1);
    t.equal(exitCode, 1);
    t.match(stderr, /\/var\/lib\/dsr\/agent\.json/);
    t.match(stderr, /mv \/var\/lib\/dsr\/agent\.json /, 'says what to do');
    t.equal(await readFile(file, 'utf8'), text);
    t.equal(await snapshot(rs1), kernel);
    await writeFile(file, good);
  });
