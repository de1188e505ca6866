import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import t from 'tap';
import type { Host, Program } from '../../infra/lab/host.ts';
import { vip } from '../../infra/lab/hosts.ts';
import { startImages } from '../../infra/lab/parts.ts';
import type { PoolText } from './api.ts';
import { allowance } from './drift.ts';
import { fetchImages } from './images.ts';
import { holdersOf, ipvs } from './kernel.ts';
import { makeSite } from './site.ts';

const site = await makeSite(t);
const { api, client, director, rs1, rs2, until } = site;
const pool: PoolText = {
  vip,
  ports: { '80/tcp': { policy: 'real-servers', scheduler: 'rr' } },
  realServers: { rs1: { address: rs1.ip }, rs2: { address: rs2.ip } },
  check: { type: 'http', path: '/healthz', status: [200], intervalMs: 200, timeoutMs: 150, rise: 2, fall: 2 },
};
const images = new Map<Host, Program>();
for (const rs of [rs1, rs2]) images.set(rs, await startImages(rs, { count: 1, bytes: 2000 }));
await site.startController();
const agents = new Map([rs1, rs2].map((rs) => [rs, site.startAgent(rs)]));

const weightOf = async (rs: Host) =>
  (await ipvs(director)).find((line) => line.startsWith(`-a -t ${vip}:80 -r ${rs.ip}:`))?.split(' -w ')[1];
const reasonOf = async (rs: Host) => (await api.status('web')).pools.web?.realServers[rs.name]?.reason ?? '';
const isIn = (rs: Host) => until(async () => (await weightOf(rs)) === '100', `${rs.name} to be in`);
const isOut = async (rs: Host, reason: RegExp) => {
  await until(async () => (await weightOf(rs)) === '0', `${rs.name} to be out`);
  await until(async () => reason.test(await reasonOf(rs)), `the reason ${reason}`);
};
/** What the clients get while one of the two is out. */
const allServedBy = async (rs: Host) => {
  const served = (await fetchImages(client, vip, 4)).map(({ servedBy }) => servedBy);
  return served.every((name) => name === rs.name);
};

t.test('a real server comes in when its agent and its probes agree, and not before', async (t) => {
  await api.put('web', pool);
  await isIn(rs1);
  await isIn(rs2);
  t.match(await reasonOf(rs1), /in service: answered 200.*VIP on lo and ARP suppressed/);
});

for (const { what, fail, mend, reason } of [
  {
    what: 'whose cable is pulled',
    fail: () => rs2.cable('down'),
    mend: () => rs2.cable('up'),
    reason: /does not answer ARP|does not answer/,
  },
  {
    what: 'whose web server is killed',
    fail: () => images.get(rs2)!.end('SIGKILL'),
    mend: async () => images.set(rs2, await startImages(rs2, { count: 1, bytes: 2000 })),
    reason: /is refused: nothing listens|nothing listens on 192\.0\.2\.100:80/,
  },
  {
    what: 'whose web server is frozen',
    fail: () => process.kill(images.get(rs2)!.pid, 'SIGSTOP'),
    mend: () => process.kill(images.get(rs2)!.pid, 'SIGCONT'),
    reason: /150 ms/,
  },
  {
    what: 'that lost its VIP while no agent runs there to put it back',
    fail: async () => {
      await agents.get(rs2)!.end('SIGKILL');
      await rs2.exec(['ip', 'addr', 'del', `${vip}/32`, 'dev', 'lo']);
    },
    mend: () => agents.set(rs2, site.startAgent(rs2)),
    reason: /the VIP is missing on that server.*the agent on rs2 is silent/,
  },
  {
    what: 'whose ARP suppression is broken and cannot be put back',
    fail: async () => {
      await agents.get(rs2)!.end('SIGKILL');
      const script = 'sysctl -qw net.ipv4.conf.all.arp_ignore=0 net.ipv4.conf.eth0.arp_ignore=0; mount --bind -o ro /proc/sys/net /proc/sys/net; mount -o remount,bind,ro /proc/sys/net'; // biome-ignore format: one command
      await rs2.exec(['sh', '-ec', script]);
      agents.set(rs2, site.startAgent(rs2));
    },
    mend: () => rs2.exec(['umount', '/proc/sys/net']),
    reason: /rs2 would answer ARP for 192\.0\.2\.100/,
  },
  {
    what: 'whose web server listens on its own address only',
    fail: async () => {
      await images.get(rs2)!.end('SIGKILL');
      const config = join(rs2.dir, 'images.conf');
      const text = (await readFile(config, 'utf8')).replace(/^\$SERVER.*$/m, `server.bind = "${rs2.ip}"`);
      images.set(rs2, rs2.spawn('images', ['lighttpd', '-D', '-f', '/dev/stdin']));
      await images.get(rs2)!.end('SIGKILL');
      await rs2.exec(['sh', '-c', `cat >${rs2.dir}/own.conf`], { input: text });
      images.set(rs2, rs2.spawn('images', ['lighttpd', '-D', '-f', `${rs2.dir}/own.conf`]));
    },
    mend: async () => {
      await images.get(rs2)!.end('SIGKILL');
      images.set(rs2, await startImages(rs2, { count: 1, bytes: 2000 }));
    },
    reason: /something listens on 192\.0\.2\.12:80 only, and nothing on 192\.0\.2\.100:80/,
  },
] as { what: string; fail: () => unknown; mend: () => unknown; reason: RegExp }[])
  t.test(`a real server ${what} is taken out with the reason, and comes back when it is mended`, async (t) => {
    const [last] = (await api.events()).slice(-1);
    await fail();
    await isOut(rs2, reason);
    t.ok(await allServedBy(rs1));
    await mend();
    await isIn(rs2);
    const types = (await api.events(last?.id)).filter(({ realServer }) => realServer === 'rs2').map(({ type }) => type);
    t.ok(types.includes('real-server-out') && types.at(-1) === 'real-server-in', types.join(' '));
  });

t.test('doubtful failures of all real servers take out one of two, and the limit is told', async (t) => {
  const [before] = (await api.events()).slice(-1);
  for (const rs of [rs1, rs2]) process.kill(images.get(rs)!.pid, 'SIGSTOP');
  const limited = async () =>
    (await api.events(before?.id)).find(({ message }) => /the limit on ejections holds/.test(message));
  await until(limited, 'the event');
  // On a busy machine the agents' word may come late meanwhile, and the kernel's weights follow.
  const one = async () => (await Promise.all([rs1, rs2].map(weightOf))).sort().join() === '0,100';
  await until(one, 'one of the two to be taken out, and only one');
  t.match((await limited())?.message, /1 more fails than the 50 % that may be taken out at once/);
  for (const rs of [rs1, rs2]) process.kill(images.get(rs)!.pid, 'SIGCONT');
  await isIn(rs1);
  await isIn(rs2);
});

t.test('dead agents and a controller that starts anew empty no pool', async (t) => {
  for (const agent of agents.values()) await agent.end('SIGKILL');
  await until(async () => /is silent/.test(await reasonOf(rs1)), 'the silence to be told');
  t.same(await Promise.all([rs1, rs2].map(weightOf)), ['100', '100']);
  t.ok((await fetchImages(client, vip, 4)).every(({ status }) => status === 200));
  for (const rs of [rs1, rs2]) agents.set(rs, site.startAgent(rs));
  await until(async () => !/is silent/.test(await reasonOf(rs1)), 'the agent to speak');
});

t.test('nobody left: refused by default, kept by "keep", answered by the director with "director"', async (t) => {
  for (const rs of [rs1, rs2]) await images.get(rs)!.end('SIGKILL');
  await isOut(rs1, /nothing listens/);
  await isOut(rs2, /nothing listens/);
  const { exitCode } = await client.exec(['curl', '-s', '--max-time', '5', `http://${vip}/healthz`], { reject: false });
  t.equal(exitCode, 7, 'refused');
  await api.put('web', { ...pool, fallback: 'keep' });
  await isIn(rs1);
  const own = await startImages(director, { count: 1, bytes: 2000 });
  await api.put('web', { ...pool, fallback: 'director' });
  await isOut(rs1, /nothing listens/);
  t.ok((await fetchImages(client, vip, 2)).every(({ servedBy }) => servedBy === 'director'));
  await own.end();
  for (const rs of [rs1, rs2]) images.set(rs, await startImages(rs, { count: 1, bytes: 2000 }));
  await isIn(rs1);
  await isIn(rs2);
  const served = (await fetchImages(client, vip, 4)).map(({ servedBy }) => servedBy);
  t.same([...new Set(served)].sort(), ['rs1', 'rs2']);
});

t.test(
  'who answers ARP for the VIP is named within 5 s, and a machine that no agent speaks for is an alarm',
  async (t) => {
    const told = async (type: string, since: number) => (await api.events(since)).find((event) => event.type === type);
    const since = async () => (await api.events()).at(-1)?.id ?? 0;
    const held = await allowance(site.director);
    let before = await since();
    await agents.get(rs2)!.end('SIGKILL');
    let began = Date.now();
    await rs2.exec(['sysctl', '-qw', 'net.ipv4.conf.all.arp_ignore=0', 'net.ipv4.conf.eth0.arp_ignore=0']);
    await until(async () => told('arp-wrong-answer', before), 'the witness to see it');
    const wrong = await told('arp-wrong-answer', before);
    t.match(wrong, { realServer: 'rs2', vip, message: /^rs2 \(02:00:00:00:02:0c\) answers ARP for 192\.0\.2\.100/ });
    t.ok(Date.parse(wrong?.time ?? '') - began < 5000 + held, `after ${Date.parse(wrong?.time ?? '') - began} ms`);
    const { body } = await api.call<{ unwell: { realServer?: string; reason: string }[] }>('GET', '/v1/status');
    t.ok(body.unwell.some(({ realServer, reason }) => realServer === 'rs2' && /answers ARP/.test(reason)));
    agents.set(rs2, site.startAgent(rs2));
    await until(async () => told('arp-quiet', before), 'the agent to put it right');
    before = await since();
    began = Date.now();
    await site.router.exec(['ip', 'addr', 'add', `${vip}/32`, 'dev', 'eth0']);
    await until(async () => told('vip-claimed', before), 'the alarm');
    const alarm = await told('vip-claimed', before);
    t.match(alarm, { vip, message: /another machine claims 192\.0\.2\.100: 02:00:00:00:02:01/ });
    t.ok(Date.parse(alarm?.time ?? '') - began < 5000 + held, `after ${Date.parse(alarm?.time ?? '') - began} ms`);
    await site.router.exec(['ip', 'addr', 'del', `${vip}/32`, 'dev', 'eth0']);
    await until(async () => told('arp-quiet', before), 'the end of it');
  },
);

t.test('a host that shuts down is drained first; an agent that is merely stopped drains nothing', async (t) => {
  const systemctl = join(rs2.dir, 'bin/systemctl');
  const say = (word: string) =>
    rs2.exec(['sh', '-ec', `mkdir -p ${rs2.dir}/bin; printf '#!/bin/sh\\necho ${word}\\n' >${systemctl}; chmod 755 ${systemctl}`]); // biome-ignore format: one command
  await agents.get(rs2)!.end();
  t.equal(await weightOf(rs2), '100', 'stopped, and still in');
  await say('stopping');
  const PATH = `${rs2.dir}/bin:${process.env.PATH}`;
  const start = new Date().toISOString();
  const agent = site.startAgent(rs2, {}, { PATH });
  await until(async () => ((await api.lastReport('rs2')) ?? '') > start, 'the agent to speak');
  const ended = agent.end();
  await isOut(rs2, /rs2 is shutting down/);
  t.ok(await allServedBy(rs1));
  t.equal(await ended, 0);
  t.same(await holdersOf(rs2, vip), [`lo ${vip}/32`], 'the VIP stays: the last packets may be on their way');
  await say('running');
  agents.set(rs2, site.startAgent(rs2, {}, { PATH }));
  await isIn(rs2);
});

t.test('teardown leaves no route to the prober behind', async (t) => {
  const routes = async () =>
    (await rs1.exec(['ip', 'route', 'show', 'scope', 'link', 'proto', 'static'])).stdout.trim();
  t.match(await routes(), /^169\.254\.\d+\.\d+ dev eth0/);
  await agents.get(rs1)!.end();
  await site.runAgent(rs1, 'teardown');
  t.equal(await routes(), '');
});
