import t from 'tap';
import type { Host } from '../../infra/lab/host.ts';
import { vip, vip6 } from '../../infra/lab/hosts.ts';
import { followAddresses, longestGap, rules, timeRepair, timeSysctl, withinASecond } from './drift.ts';
import { addresses, ipvs, suppression } from './kernel.ts';
import { startListeners } from './listeners.ts';
import { makeSite } from './site.ts';

const site = await makeSite(t);
const { api, director, rs1, rs2, until } = site;
const controller = await site.startController();
for (const rs of [rs1, rs2]) {
  startListeners(rs, ['80/tcp', '53/udp']);
  site.startAgent(rs);
}
const ports = {
  '80/tcp': { policy: 'real-servers', scheduler: 'wrr', persistenceSeconds: 300 },
  '53/udp': { policy: 'real-servers' },
} as const;
await api.put('web', { vip, ports, realServers: { rs1: { address: rs1.ip }, rs2: { address: rs2.ip } } });
await api.put('web6', { vip: vip6, ports, realServers: { rs1: { address: rs1.ip6 }, rs2: { address: rs2.ip6 } } });
await until(async () => (await ipvs(director)).filter((line) => line.endsWith('-w 100')).length === 8, 'all weights');

// What belongs to somebody else.
const foreignRules = `-A -t 192.0.2.190:80 -s rr -p 50
-a -t 192.0.2.190:80 -r 192.0.2.191:8080 -i -w 3
-A -f 7 -s wlc
-a -f 7 -r 192.0.2.11:0 -g -w 9
`;
const addForeign = () => director.exec(['ipvsadm', '-R'], { input: foreignRules });
await addForeign();
await director.exec(['ip', 'addr', 'add', '192.0.2.190/24', 'dev', 'eth0']);
await director.exec(['ip', 'addr', 'add', '192.0.2.192/32', 'dev', 'lo']);
await rs1.exec(['ip', 'addr', 'add', '192.0.2.193/32', 'dev', 'lo']);
const good = await ipvs(director);
const sorted = async (host: Host) => (await addresses(host)).map((a) => JSON.stringify(a)).sort();
const goodAddresses = { director: await sorted(director), rs1: await sorted(rs1) };
t.ok(good.includes('-a -f 7 -r 192.0.2.11:0 -g -w 9'), 'the foreign services are there to begin with');

/** Ids grow: those from now on are above this. */
const lastEvent = async () => (await api.events()).at(-1)?.id ?? 0;
const driftSince = async (id: number) => (await api.events(id)).filter(({ type }) => type === 'drift');

for (const [what, command, about] of [
  ['a service is deleted', `ipvsadm -D -t ${vip}:80`, `${vip}:80/tcp`],
  ['an IPv6 service is deleted', `ipvsadm -D -t [${vip6}]:80`, `[${vip6}]:80/tcp`],
  ['a weight is changed', `ipvsadm -e -t ${vip}:80 -r ${rs1.ip}:80 -g -w 1`, `${vip}:80/tcp`],
  ['a real server is removed', `ipvsadm -d -u ${vip}:53 -r ${rs2.ip}:53`, `${vip}:53/udp`],
  ['a stray real server is added', `ipvsadm -a -t ${vip}:80 -r 192.0.2.99:80 -g -w 50`, `${vip}:80/tcp`],
  ['a scheduler is changed', `ipvsadm -E -t ${vip}:80 -s rr`, `${vip}:80/tcp`],
  ['a threshold is set', `ipvsadm -e -t ${vip}:80 -r ${rs1.ip}:80 -g -w 100 -x 5 -y 2`, `${vip}:80/tcp`],
  ['a method is changed', `ipvsadm -e -t ${vip}:80 -r ${rs1.ip}:80 -i -w 100`, `${vip}:80/tcp`],
] as const)
  t.test(`${what} by hand: put right within a second, with an event`, async (t) => {
    const before = await lastEvent();
    let changes = 0;
    const limits = async () => (await director.exec(['ipvsadm', '-Ln', '--thresholds'])).stdout;
    const look = what === 'a threshold is set' ? limits : () => rules(controller.pid);
    await withinASecond(t, director, () => {
      changes += 1;
      return timeRepair(look, () => director.exec(command.split(' ')));
    });
    t.same(await ipvs(director), good);
    await until(async () => (await driftSince(before)).length >= changes, 'the event');
    const told = (await driftSince(before)).map(
      ({ message }) => message.split(' had been changed by somebody else')[0],
    );
    t.same(told, Array(changes).fill(about), 'one event for one change');
  });

t.test('after ipvsadm -C the pools are back within a second, and what was not ours is not made up', async (t) => {
  const before = await lastEvent();
  await director.exec(['ipvsadm', '-D', '-f', '7']);
  await director.exec(['ipvsadm', '-D', '-t', '192.0.2.190:80']);
  await withinASecond(t, director, () =>
    timeRepair(
      () => rules(controller.pid),
      () => director.exec(['ipvsadm', '-C']),
    ),
  );
  t.same(
    await ipvs(director),
    good.filter((line) => !/ -f 7 | 192\.0\.2\.190:/.test(`${line} `)),
  );
  const subjects = async () => (await driftSince(before)).map(({ message }) => message.split(' ')[0]);
  await until(async () => new Set(await subjects()).size === 4, 'an event for each service');
  await addForeign();
  t.same(await ipvs(director), good);
});

const followed = new Map([
  [director, await followAddresses(director)],
  [rs1, await followAddresses(rs1)],
]);
const vips = [`${vip}/32`, `${vip6}/128`];
const setUpAnew = `ip addr flush dev eth0
ip addr add ${director.ip}/24 dev eth0; ip addr add 192.0.2.190/24 dev eth0
ip addr add ${director.ip6}/64 dev eth0 nodad; ip addr add fe80::20a/64 dev eth0 nodad
ip route replace default via 192.0.2.1; ip route replace default via 2001:db8:2::1`;
const emptied = `ip addr flush dev lo; ip addr add 192.0.2.193/32 dev lo
ip addr add 127.0.0.1/8 dev lo; ip addr add ::1/128 dev lo`;

for (const [what, host, dev, command, away] of [
  ['the VIP is deleted from the director', director, 'eth0', `ip addr del ${vip}/32 dev eth0`, [`${vip}/32`]],
  ['the IPv6 VIP is deleted from the director', director, 'eth0', `ip addr del ${vip6} dev eth0`, [`${vip6}/128`]],
  ['the VIP is deleted from a real server', rs1, 'lo', `ip addr del ${vip}/32 dev lo`, [`${vip}/32`]],
  ['the IPv6 VIP is deleted from a real server', rs1, 'lo', `ip addr del ${vip6} dev lo`, [`${vip6}/128`]],
  ['a network manager empties lo of a real server', rs1, 'lo', emptied, vips],
  ['a network manager sets up the director’s card anew', director, 'eth0', setUpAnew, vips],
] as const)
  t.test(`${what}: the VIP is back within a second`, async (t) => {
    const wanted = (host === director ? goodAddresses.director : goodAddresses.rs1).join();
    const before = await lastEvent();
    await withinASecond(t, host, async () => {
      const changes = followed.get(host)!;
      const known = (await changes()).length;
      await host.exec(['sh', '-ec', command]);
      const fresh = async () => (await changes()).slice(known);
      const back = async (address: string) => (await fresh()).some((c) => c.address === address && !c.deleted);
      for (const address of away) await until(() => back(address), `${address} to be back`);
      await until(async () => (await sorted(host)).join() === wanted, 'the addresses to be as before');
      const seen = await fresh();
      return Math.max(...away.map((address) => longestGap(seen, dev, address)));
    });
    if (host === director) await until(async () => (await driftSince(before)).length >= away.length, 'the events');
  });

t.test('a card that goes down and comes back has its VIPs again', async (t) => {
  const manage = `ip link set eth0 down
ip link set eth0 up
ip addr replace ${director.ip6}/64 dev eth0 nodad; ip addr replace fe80::20a/64 dev eth0 nodad
ip route replace default via 192.0.2.1; ip route replace default via 2001:db8:2::1`;
  await director.exec(['sh', '-ec', manage]);
  await until(
    async () => (await sorted(director)).join() === goodAddresses.director.join(),
    'the addresses to be as before',
  );
  t.same(await ipvs(director), good);
});

for (const key of suppression)
  t.test(`${key} of a real server is lifted by hand: back within a second`, async (t) => {
    await withinASecond(t, rs1, () => timeSysctl(rs1, key, '0'));
  });

t.test('what belongs to somebody else is as it was', async (t) => {
  t.same(await ipvs(director), good);
  t.same(await sorted(director), goodAddresses.director);
  t.same(await sorted(rs1), goodAddresses.rs1);
});
