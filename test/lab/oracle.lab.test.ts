import { setTimeout as sleep } from 'node:timers/promises';
import t from 'tap';
import { schedulers } from '../../src/schema.ts';
import type { PoolText } from './api.ts';
import { savedLines, thresholds } from './expected.ts';
import { addresses, holdersOf, ipvs, sysctls } from './kernel.ts';
import { startListeners } from './listeners.ts';
import { makeSite } from './site.ts';

const site = await makeSite(t, { realServers: 0, extraHosts: ['bench', 'farm'] });
const { api, director, until } = site;
const [bench, farm] = [site.hosts.bench!, site.hosts.farm!];

/** Not every kernel has every scheduler: Debian's User Mode Linux lacks "twos". */
const here: string[] = [];
for (const name of schedulers) {
  const { exitCode } = await bench.exec(['ipvsadm', '-A', '-f', '1', '-s', name], { reject: false });
  if (exitCode === 0) here.push(name);
  await bench.exec(['ipvsadm', '-C']);
}
const lacking = schedulers.filter((name) => !here.includes(name));

const vips = { shared: '192.0.2.120', alone: '192.0.2.121', v6: '2001:db8:2::120' };
const servers = { a: 31, b: 32, c: 33, d: 34 };
const realServers: PoolText['realServers'] = {
  a: { address: '192.0.2.31', weight: 1 },
  b: { address: '192.0.2.32', weight: 65535, upperThreshold: 2147483647 },
  c: { address: '192.0.2.33', weight: 0, upperThreshold: 100, lowerThreshold: 100 },
  d: { address: '192.0.2.34', upperThreshold: 100, lowerThreshold: 50 },
  here: { address: director.ip, weight: 7 },
};
const realServers6: PoolText['realServers'] = {
  a: { address: '2001:db8:2::31', weight: 3 },
  b: { address: '2001:db8:2::32', upperThreshold: 10, lowerThreshold: 2 },
  here: { address: director.ip6 },
};
const every = (protocol: string, first: number): PoolText['ports'] =>
  Object.fromEntries(
    schedulers.flatMap((name, i) =>
      here.includes(name) ? [[`${first + i}/${protocol}`, { policy: 'real-servers' as const, scheduler: name }]] : [],
    ),
  );
const options: PoolText['ports'] = {
  '80/tcp': { policy: 'real-servers' },
  '443/tcp': { policy: 'real-servers', scheduler: 'sh', schedulerFlags: ['sh-port'], persistenceSeconds: 1 },
  '444/tcp': { policy: 'real-servers', scheduler: 'sh', schedulerFlags: ['sh-port', 'sh-fallback'] },
  '445/tcp': { policy: 'real-servers', scheduler: 'mh', schedulerFlags: ['mh-fallback'] },
  '446/tcp': { policy: 'real-servers', scheduler: 'mh', schedulerFlags: ['mh-port', 'mh-fallback'] },
  '447/tcp': { policy: 'real-servers', scheduler: 'wrr', schedulerFlags: ['flag-3', 'flag-1'] },
  '448/tcp': { policy: 'real-servers', scheduler: 'rr', schedulerFlags: ['flag-2'], persistenceSeconds: 2_678_400 },
  '53/udp': { policy: 'real-servers', scheduler: 'rr', onePacket: true },
  '53/tcp': { policy: 'real-servers', scheduler: 'lc', persistenceSeconds: 300 },
  '65535/udp': { policy: 'real-servers', scheduler: 'nq', persistenceSeconds: 60 },
};
const masked = (mask: number | string, port: number): PoolText['ports'] => ({
  [`${port}/tcp`]: { policy: 'real-servers', persistenceSeconds: 300, persistenceNetmask: mask },
  [`${port}/udp`]: { policy: 'real-servers', persistenceSeconds: 3600, persistenceNetmask: mask, scheduler: 'sed' },
});
const pools: Record<string, PoolText> = {
  schedulers: { vip: vips.shared, ports: { ...every('tcp', 1000), ...every('udp', 2000) }, realServers },
  options: { vip: vips.shared, ports: { ...options, '8080/tcp': { policy: 'director' } }, realServers },
  masks: {
    vip: vips.alone,
    ports: { ...masked('255.255.255.0', 80), ...masked(16, 81), ...masked(32, 82), ...masked('128.0.0.0', 83) },
    realServers,
  },
  empty: { vip: vips.alone, ports: { '9/tcp': { policy: 'real-servers', scheduler: 'ovf' } } },
  six: {
    vip: vips.v6,
    ports: { ...every('tcp', 1000), ...every('udp', 2000), ...options, ...masked(64, 80), ...masked(128, 81) },
    realServers: realServers6,
  },
};

/** Those of `all` that are about VIPs. */
const ofVips = async (host: typeof director) =>
  (await addresses(host)).filter(({ address }) => Object.values(vips).includes(address));

/** The same, when nobody else on the LAN has turned out to have them: an IPv6 address is tentative until then (RFC 4862). */
const settledVips = (host: typeof director) =>
  until(async () => {
    const found = await ofVips(host);
    return found.some(({ flags }) => flags.includes('tentative')) ? undefined : found;
  }, 'the addresses to be settled');

// One host stands for all real servers: it has their addresses and the VIPs, and listens on every port, as the director does.
const farmAddresses = Object.values(servers).flatMap((number) => [`192.0.2.${number}/24`, `2001:db8:2::${number}/64`]);
await farm.exec(['sh', '-e'], {
  input: [
    'sysctl -qw net.ipv4.conf.all.arp_ignore=1 net.ipv4.conf.all.arp_announce=2',
    ...farmAddresses.map((address) => `ip addr add ${address} dev eth0 ${address.includes(':') ? 'nodad' : ''}`),
    ...Object.values(vips).map((vip) => `ip addr add ${vip} dev lo ${vip.includes(':') ? 'nodad' : ''}`),
  ].join('\n'),
});
const allPorts = Object.values(pools).flatMap((pool) => Object.keys(pool.ports));
for (const host of [farm, director]) startListeners(host, allPorts);
await site.startController({ 'probe-address': '192.0.2.90,2001:db8:2::90' });
/** The agents speak all the time: they would be silent otherwise. */
const speak = () =>
  api.speakAs(
    Object.fromEntries(
      Object.entries(servers).map(([name, number]) => [
        name,
        { addresses: [`192.0.2.${number}`, `2001:db8:2::${number}`], vips: Object.values(vips) },
      ]),
    ),
  );
await speak();
let ending = false;
const speaking = (async () => {
  for (; !ending; await sleep(1000)) await speak();
})();
t.teardown(async () => {
  ending = true;
  await speaking;
});
/** Waits until checks have let every real server in. */
const becomes = (lines: string[]) =>
  until(
    async () => (await ipvs(director)).join('\n') === lines.join('\n'),
    'the kernel to have what the pools say',
  ).catch(async () => t.same(await ipvs(director), lines));
/** The same without weights: before the first check most have none. */
const weightless = (lines: string[]) => lines.map((line) => line.replace(/ -w \d+$/, ''));

interface Planned {
  steps: { op: string; command: string }[];
}
let byHand: { ipvs: string[]; addresses: unknown; sysctls: unknown };

t.test('a plan changes nothing, and its commands typed by hand make the kernel that the pools ask for', async (t) => {
  const { status, body } = await api.call<Planned>('POST', '/v1/plan', { pools });
  t.equal(status, 200);
  t.same(await ipvs(director), []);
  t.same(await ofVips(director), []);

  // The bench is the director's twin, but silent about it.
  await bench.exec(['sysctl', '-q', '-w', 'net.ipv4.conf.all.arp_ignore=1']);
  const commands = body.steps.filter(({ op }) => op !== 'announce').map(({ command }) => command);
  await bench.exec(['sh', '-e'], { input: commands.join('\n') });
  byHand = {
    ipvs: await ipvs(bench),
    addresses: await settledVips(bench),
    sysctls: await sysctls(bench, ['net.ipv6.conf.eth0.ndisc_notify']),
  };
  t.same(weightless(byHand.ipvs), weightless(savedLines(pools)));
  for (const vip of Object.values(vips))
    for (const held of await holdersOf(bench, vip)) {
      const [dev = '', address = ''] = held.split(' ');
      await bench.exec(['ip', 'addr', 'del', address, 'dev', dev]);
    }
});

t.test('ipvsadm lists exactly what the pools say, every scheduler, flag, mask and weight', async (t) => {
  const { body } = await api.call<{ reconciled: boolean; missing: string[] }>('PUT', '/v1/pools?waitMs=60000', {
    pools,
  });
  t.same([body.reconciled, body.missing], [true, []]);
  await becomes(savedLines(pools));
});

t.test('the director has the VIPs just as by hand', async (t) => {
  t.same(await settledVips(director), byHand.addresses);
  t.same(await sysctls(director, ['net.ipv6.conf.eth0.ndisc_notify']), byHand.sysctls);
});

t.test('the thresholds are in the kernel', async (t) => {
  const { stdout } = await director.exec(['ipvsadm', '-Ln', '--thresholds']);
  const listed: Record<string, string> = {};
  let service = '';
  for (const line of stdout.split('\n').slice(3)) {
    const [first = '', second = '', upper, lower] = line.trim().split(/\s+/);
    if (first === '->') listed[`${service} ${second}`] = `${upper} ${lower}`;
    else service = `${first} ${second}`;
  }
  t.same(listed, thresholds(pools));
});

t.test('a second look at the same pools plans nothing', async (t) => {
  const { body } = await api.call<Planned>('POST', '/v1/plan', { pools });
  t.same(body.steps, []);
});

t.test('changing every option of every service changes them in place, to exactly the new ones', async (t) => {
  const rotate = (ports: PoolText['ports']): PoolText['ports'] => {
    const [first, ...rest] = Object.keys(ports).filter((key) => ports[key]?.policy === 'real-servers');
    const keys = [...rest, first!];
    const udpOnly = (config: PoolText['ports'][string], key: string) =>
      config.policy === 'real-servers' && !key.endsWith('udp') ? { ...config, onePacket: false } : config;
    return Object.fromEntries(
      Object.entries(ports)
        .filter(([, { policy }]) => policy === 'real-servers')
        .map(([, config], i) => [keys[i]!, udpOnly(config, keys[i]!)]),
    );
  };
  const heavier = (list: PoolText['realServers']): PoolText['realServers'] =>
    Object.fromEntries(
      Object.entries(list ?? {}).map(([name, server]) => [name, { ...server, weight: (server.weight ?? 100) ^ 1 }]),
    );
  const next = Object.fromEntries(
    Object.entries(pools).map(([name, pool]) => [
      name,
      { ...pool, ports: rotate(pool.ports), realServers: heavier(pool.realServers) },
    ]),
  );
  // The bench has what the director has; the commands of the plan make of it what the director makes.
  const { stdout: before } = await director.exec(['ipvsadm', '-Sn']);
  await bench.exec(['ipvsadm', '-C']);
  await bench.exec(['ipvsadm', '-R'], { input: before });
  const plan = await api.call<Planned>('POST', '/v1/plan', { pools: next });
  const rules = plan.body.steps.filter(({ command }) => command.startsWith('ipvsadm '));
  await bench.exec(['sh', '-e'], { input: rules.map(({ command }) => command).join('\n') });
  t.same(await ipvs(bench), savedLines(next));
  const { body } = await api.call<{ reconciled: boolean }>('PUT', '/v1/pools?waitMs=60000', { pools: next });
  t.ok(body.reconciled);
  await becomes(savedLines(next));
});

t.test('a scheduler that this kernel lacks is named in the status, and the other services are there', async (t) => {
  const [name] = lacking;
  if (!name) return void t.pass('this kernel has them all');
  const pool: PoolText = {
    vip: vips.alone,
    ports: { '800/tcp': { policy: 'real-servers', scheduler: name }, '801/tcp': { policy: 'real-servers' } },
  };
  t.equal((await api.put('lacking', pool, 2000)).status, 202);
  const told = new RegExp(`scheduler.*${name}|${name}.*scheduler`);
  await until(async () => {
    const { missing } = (await api.status('lacking')).pools.lacking!;
    return missing.length === 1 && told.test(missing[0]!);
  }, `the status to name ${name}`);
  t.ok((await ipvs(director)).includes(`-A -t ${vips.alone}:801 -s wlc`));
});

t.test('without pools nothing is left', async (t) => {
  await api.clear();
  t.same(await ipvs(director), []);
  t.same(await ofVips(director), []);
});
