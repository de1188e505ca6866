import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { execa } from 'execa';
import t, { type Test } from 'tap';
import { vip, vip6 } from '../../infra/lab/hosts.ts';
import type { PoolText } from './api.ts';
import { addresses, holdersOf, ipvs, snapshot } from './kernel.ts';
import { startListeners } from './listeners.ts';
import { reboot } from './reboot.ts';
import { controllerFile, controllerFlags, type Flags, makeSite, ours } from './site.ts';

const site = await makeSite(t, { realServers: 0, extraHosts: ['intruder'] });
const { api, director, until } = site;
const intruder = site.hosts.intruder!;
const ports: PoolText['ports'] = { '80/tcp': { policy: 'real-servers' } };
const realServers: PoolText['realServers'] = { here: { address: director.ip } };
const web: PoolText = { vip, ports, realServers };
const web6: PoolText = { vip: vip6, ports, realServers: { here: { address: director.ip6 } } };
const lines = (address: string, port: string, local: string) => [
  `-A -t ${address}:${port} -s wlc`,
  `-a -t ${address}:${port} -r ${local}:${port} -g -w 100`,
];

/** Runs the controller to its end, which must be soon. */
const run = (flags: Flags = {}, before: string[] = []) =>
  director.exec([...before, ...ours(controllerFile, { ...controllerFlags(director), ...flags })], {
    reject: false,
    timeout: 180_000,
  });
/** Starts the controller for one test. */
const startController = async (t: Test, flags?: Flags) => {
  const controller = await site.startController(flags);
  t.teardown(() => controller.end());
};
startListeners(director, ['80/tcp']);
const stateFile = (name: string) => join(director.dir, 'state', name);

t.test('without ip_vs in the kernel the controller ends with 3 and says how to get it', async (t) => {
  const loaded = (await readFile('/proc/modules', 'utf8')).match(/^ip_vs\w*/gm) ?? [];
  const others = loaded.filter((name) => name !== 'ip_vs');
  if (loaded.length > 0) await execa('modprobe', ['--remove', ...others, 'ip_vs']);
  const { stdout: modprobe } = await execa('sysctl', ['-n', 'kernel.modprobe']);
  await execa('sysctl', ['-w', 'kernel.modprobe=/bin/false']);
  t.teardown(() => execa('sysctl', ['-w', `kernel.modprobe=${modprobe}`]));
  const hidden = 'mount -t tmpfs none /lib/modules && exec "$@"';
  const { exitCode, stderr } = await run({}, ['unshare', '--mount', 'sh', '-c', hidden, 'sh']);
  t.equal(exitCode, 3);
  t.match(stderr, /no IPVS: load it with `modprobe ip_vs`/);
});

t.test('without the privilege it ends with 3 and says which', async (t) => {
  for (const drop of [
    ['setpriv', '--bounding-set=-net_admin', '--inh-caps=-net_admin'],
    ['setpriv', '--reuid=65534', '--clear-groups'],
  ]) {
    const { exitCode, stderr } = await run({}, drop);
    t.equal(exitCode, 3, drop.join(' '));
    t.match(stderr, /CAP_NET_ADMIN|run as root/);
  }
});

for (const [family, address, pool, prefix] of [
  ['IPv4', vip, web, 32],
  ['IPv6', vip6, web6, 128],
] as const)
  t.test(`a VIP that another host answers for over ${family} is not taken until that stops`, async (t) => {
    await startController(t);
    const nodad = family === 'IPv6' ? ['nodad'] : [];
    await intruder.exec(['ip', 'addr', 'add', `${address}/${prefix}`, 'dev', 'eth0', ...nodad]);
    const { status, body } = await api.put('web', pool, 5000);
    t.equal(status, 202);
    t.match(body.missing, [new RegExp(intruder.mac)]);
    const [name, local] = family === 'IPv4' ? [vip, director.ip] : [`[${vip6}]`, `[${director.ip6}]`];
    t.same(await ipvs(director), lines(name, '80', local), 'its services are there');
    t.same(await holdersOf(director, address), [], 'the address is not');
    t.match((await api.status('web')).pools.web?.vip, { actual: false, reason: new RegExp(intruder.mac) });
    const events = (await api.events()).filter(({ type, vip }) => type === 'vip-conflict' && vip === address);
    t.match(events, [{ message: new RegExp(intruder.mac) }]);
    await intruder.exec(['ip', 'addr', 'del', `${address}/${prefix}`, 'dev', 'eth0']);
    await until(async () => (await holdersOf(director, address)).length === 1, 'the VIP to be taken');
    t.same(await holdersOf(director, address), [`eth0 ${address}/${prefix}`]);
    await until(async () => (await api.status('web')).pools.web?.well, 'all to be well');
    await api.clear();
  });

t.test('an IPv6 VIP that fails duplicate address detection is no VIP until the other host is gone', async (t) => {
  await intruder.exec(['ip', 'addr', 'add', `${vip6}/128`, 'dev', 'eth0', 'nodad']);
  await director.exec(['ip', 'addr', 'add', `${vip6}/128`, 'dev', 'eth0', 'preferred_lft', '0']);
  const flags = async () => (await addresses(director)).find((a) => a.address === vip6)?.flags;
  await until(async () => (await flags())?.includes('dadfailed'), 'the detection to fail');
  await startController(t);
  await api.put('web6', web6, 3000);
  t.match((await api.status('web6')).pools.web6?.vip.reason, new RegExp(intruder.mac));
  await intruder.exec(['ip', 'addr', 'del', `${vip6}/128`, 'dev', 'eth0']);
  await until(async () => {
    const now = await flags();
    return now && !now.includes('dadfailed') && !now.includes('tentative');
  }, 'the VIP to be sound');
  await api.clear();
  await director.exec(['ip', 'addr', 'flush', 'to', vip6, 'dev', 'eth0']);
});

t.test('an interface that is missing is waited for, and its loss survived', async (t) => {
  await startController(t, { interface: 'eth9' });
  await api.put('web', web, 1000);
  t.match((await api.status('web')).pools.web?.vip, { actual: false, reason: /no interface "eth9"/ });
  t.same(await ipvs(director), lines(vip, '80', director.ip), 'the services do not wait');
  for (const time of ['the first time', 'again']) {
    await director.exec(['sh', '-ec', 'ip link add eth9 type veth peer name eth8; ip link set eth8 up']);
    await until(
      async () => /eth9 is down/.test((await api.status('web')).pools.web?.vip.reason ?? ''),
      'it to be seen',
    );
    await director.exec(['ip', 'link', 'set', 'eth9', 'up']);
    await until(async () => (await holdersOf(director, vip)).join() === `eth9 ${vip}/32`, `the VIP on eth9 ${time}`);
    await director.exec(['ip', 'link', 'del', 'eth9']);
    await until(async () => (await api.status('web')).pools.web?.vip.actual === false, 'the loss to be seen');
  }
  t.same(await ipvs(director), lines(vip, '80', director.ip));
  await api.clear();
});

t.test('where another owner moves the VIP it is only watched', async (t) => {
  await startController(t, { 'manage-vip': 'false' });
  await api.put('web', web);
  t.same(await ipvs(director), lines(vip, '80', director.ip));
  t.same(await holdersOf(director, vip), []);
  await director.exec(['ip', 'addr', 'add', `${vip}/24`, 'dev', 'eth0']);
  await until(async () => (await api.status('web')).pools.web?.vip.actual, 'it to be seen');
  await api.clear();
  t.same(await ipvs(director), []);
  t.same(await holdersOf(director, vip), [`eth0 ${vip}/24`], 'it stays its owner’s');
  await director.exec(['ip', 'addr', 'del', `${vip}/24`, 'dev', 'eth0']);
});

t.test('a VIP that is the director’s own address already is adopted, and stays when its pool goes', async (t) => {
  await startController(t);
  await api.put('own', { ...web, vip: director.ip, realServers: {} });
  t.ok((await ipvs(director)).includes(`-A -t ${director.ip}:80 -s wlc`));
  await api.clear();
  t.same(await ipvs(director), []);
  t.same(await holdersOf(director, director.ip), [`eth0 ${director.ip}/24`]);
});

t.test('a second controller with the same state folder is refused', async (t) => {
  await startController(t);
  const { exitCode, stderr } = await run();
  t.equal(exitCode, 1);
  t.match(stderr, /another dsr-controller runs/);
  await api.put('web', web);
  await api.put('web6', web6);
  const sound = async () => (await addresses(director)).every(({ flags }) => !flags.includes('tentative'));
  await until(sound, 'the detection of duplicate addresses to end');
});

for (const [what, file, text] of [
  ['cut off', 'state.json', '{"version":1,"revision":'],
  ['empty', 'state.json', ''],
  ['of a newer version', 'state.json', '{"version":2,"revision":9,"everything":"else"}'],
  ['of no known shape', 'state.json', '{"version":1,"revision":"one"}'],
  ['cut off', 'agents.json', '{"version":1,"agents":{"rs1"'],
] as const)
  t.test(
    `with ${file} ${what} the controller does not start, names it, and touches neither file nor kernel`,
    async (t) => {
      const good = await readFile(stateFile(file), 'utf8').catch(() => undefined);
      const kernel = await snapshot(director);
      await writeFile(stateFile(file), text);
      const { exitCode, stderr } = await run();
      t.equal(exitCode, 1);
      t.match(stderr, `/var/lib/dsr/${file}`);
      t.match(stderr, what === 'of a newer version' ? /newer version/ : /damaged/);
      t.match(stderr, `mv /var/lib/dsr/${file} `, 'says what to do');
      t.equal(await readFile(stateFile(file), 'utf8'), text);
      t.equal(await snapshot(director), kernel);
      await writeFile(stateFile(file), good ?? '{"version":1,"agents":{}}');
    },
  );

t.test('a director that reboots has its pools again from its disk', async (t) => {
  const kernel = [...(await ipvs(director)), ...(await holdersOf(director, vip)), ...(await holdersOf(director, vip6))];
  t.equal(kernel.length, 6);
  await reboot(director);
  t.same(await ipvs(director), []);
  await startController(t);
  await until(async () => (await holdersOf(director, vip6)).length === 1, 'the last VIP');
  t.same(
    [...(await ipvs(director)), ...(await holdersOf(director, vip)), ...(await holdersOf(director, vip6))],
    kernel,
  );
});
