import { cp } from 'node:fs/promises';
import t, { type Test } from 'tap';
import type { Host, Program } from '../../infra/lab/host.ts';
import type { PoolText } from './api.ts';
import { holdersOf, ipvs, snapshot } from './kernel.ts';
import { startListeners } from './listeners.ts';
import { reboot } from './reboot.ts';
import { agentFile, agentFlags, controllerFile, controllerFlags, makeSite, ours } from './site.ts';

const site = await makeSite(t);
const { api, director, rs1, rs2, until } = site;
const [four, six] = ['192.0.2.150', '2001:db8:2::150'];
const ports: PoolText['ports'] = { '80/tcp': { policy: 'real-servers' }, '53/udp': { policy: 'real-servers' } };
const pools: Record<string, PoolText> = {
  web: { vip: four, ports, realServers: { rs1: { address: rs1.ip, weight: 7 }, rs2: { address: rs2.ip, weight: 7 } } },
  web6: {
    vip: six,
    ports,
    realServers: { rs1: { address: rs1.ip6, weight: 7 }, rs2: { address: rs2.ip6, weight: 7 } },
  },
};
const all = [director, rs1, rs2];
const snapshots = async () =>
  Object.fromEntries(await Promise.all(all.map(async (host) => [host.name, await snapshot(host)])));

const commandOf = (host: Host) =>
  host === director
    ? ours(controllerFile, controllerFlags(director), 'teardown')
    : ours(agentFile, agentFlags(host, director), 'teardown');
const teardown = (host: Host) => host.exec(commandOf(host), { reject: false });

for (const host of all) startListeners(host, Object.keys(ports));

/** Starts everything and waits until all real servers serve. */
async function serve(): Promise<Program[]> {
  const programs = [await site.startController(), site.startAgent(rs1), site.startAgent(rs2)];
  for (const [name, pool] of Object.entries(pools)) await api.put(name, pool);
  await until(async () => {
    const entries = (await ipvs(director)).filter(
      (line) => line.startsWith('-a') && / \S*(150\]?):(80|53) /.test(line),
    );
    return entries.length === 8 && entries.every((line) => line.endsWith('-g -w 7'));
  }, 'all real servers, and only they, to serve').catch(async (error: Error) => {
    throw new Error(
      `${error.message}\n${(await ipvs(director)).join('\n')}\n${JSON.stringify(await Promise.all(Object.keys(pools).map(api.status)))}`,
    );
  });
  // The controller also goes by what it heard from the agents before its start.
  for (const rs of [rs1, rs2])
    for (const vip of [four, six])
      await until(async () => (await holdersOf(rs, vip)).length === 1, `${vip} on ${rs.name}`);
  return programs;
}

const undo = async (t: Test, programs: Program[], before: Record<string, string>, how: NodeJS.Signals) => {
  for (const program of programs) await program.end(how);
  for (const host of all) {
    const { exitCode, stderr } = await teardown(host);
    t.equal(exitCode, 0, stderr);
  }
  const after = await snapshots();
  for (const host of all) t.equal(after[host.name], before[host.name], `${host.name} is as before`);
};

t.test('hosts that had nothing before are byte for byte as before', async (t) => {
  const before = await snapshots();
  const programs = await serve();
  const during = await snapshots();
  for (const host of all) {
    t.not(during[host.name], before[host.name]);
    t.match(await teardown(host), { exitCode: 1, stderr: /another dsr-\w+ runs/ }, 'refused while the program runs');
  }
  t.same(await snapshots(), during, 'and nothing was touched');
  await undo(t, programs, before, 'SIGTERM');
  for (const host of all) t.match(await teardown(host), { exitCode: 0, stdout: '' }, 'a second one has nothing to do');
});

/** A site that was set up by hand before, with things of others beside. */
const byHand: Record<string, string> = {
  director: `ip addr add ${four}/24 dev eth0
ip addr add ${six}/64 dev eth0 nodad
ip addr add 192.0.2.160/32 dev eth0
sysctl -q -w net.ipv6.conf.eth0.ndisc_notify=1
ipvsadm -A -t ${four}:80 -s sh -p 77 -M 255.255.0.0 -b sh-port
ipvsadm -a -t ${four}:80 -r ${rs2.ip}:80 -g -w 3 -x 9 -y 4
ipvsadm -a -t ${four}:80 -r 192.0.2.99:80 -i -w 5
ipvsadm -A -t ${four}:81 -s rr
ipvsadm -a -t ${four}:81 -r 192.0.2.99:8081 -m -w 6
ipvsadm -A -u [${six}]:53 -s lc -o
ipvsadm -a -u [${six}]:53 -r [2001:db8:2::99]:53 -g -w 5
ipvsadm -A -f 3 -s rr`,
  rs1: `sysctl -q -w net.ipv4.conf.all.arp_ignore=1 net.ipv4.conf.eth0.arp_ignore=2 net.ipv4.conf.all.arp_announce=1`,
  rs2: `sysctl -q -w net.ipv4.conf.all.arp_ignore=1 net.ipv4.conf.all.arp_announce=2
ip addr add ${four}/32 dev lo; ip addr add 192.0.2.160/32 dev lo`,
};

t.test('what was set up by hand before is adopted, and byte for byte as before after a teardown', async (t) => {
  for (const host of all) await host.exec(['sh', '-e'], { input: byHand[host.name]! });
  const before = await snapshots();
  const programs = await serve();
  t.same(await holdersOf(director, four), [`eth0 ${four}/24`], 'the VIP stays where and as it is');
  t.ok((await ipvs(director)).includes(`-A -t ${four}:80 -s wlc`), 'the service is as the pool says');
  t.ok((await ipvs(director)).includes(`-a -t ${four}:81 -r 192.0.2.99:8081 -m -w 6`), 'the other is untouched');
  await undo(t, programs, before, 'SIGKILL');
});

const skip = process.env.LONG ? false : 'npm run test:long';
t.test(
  'after a reboot teardown restores what that boot had found, and not what the one before had',
  { skip },
  async (t) => {
    for (const program of await serve()) await program.end('SIGKILL');
    const other = `ipvsadm -A -t ${four}:80 -s rr\nipvsadm -a -t ${four}:80 -r 192.0.2.98:80 -g`;
    for (const host of all) await reboot(host, host === director ? other : '');
    const before = await snapshots();
    for (const { dir } of all) await cp(`${dir}/state`, `${dir}/kept`, { recursive: true });
    for (const host of all)
      t.match(await teardown(host), { exitCode: 0, stdout: '' }, 'right after it there is nothing to do');
    t.same(await snapshots(), before);
    for (const { dir } of all) await cp(`${dir}/kept`, `${dir}/state`, { recursive: true });
    await undo(t, await serve(), before, 'SIGTERM');
  },
);
