import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import t from 'tap';
import type { Host, Program } from '../../infra/lab/host.ts';
import { vip } from '../../infra/lab/hosts.ts';
import { startImages } from '../../infra/lab/parts.ts';
import type { HostFinding } from '../../src/director/doctor.ts';
import type { BalancedPort } from '../../src/schema.ts';
import type { PoolText } from './api.ts';
import { agentFile, agentFlags, controllerFile, controllerFlags, makeSite, ours } from './site.ts';

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

const sh = async (host: Host, script: string) => (await host.exec(['sh', '-ec', script])).stdout;
/** Types the lines of a fix, comments too, as a person does. */
const type = (host: Host, { fix }: Pick<HostFinding, 'fix'>) => sh(host, fix.join('\n'));

const look = async () => (await api.call<{ findings: HostFinding[] }>('GET', '/v1/doctor')).body.findings;
/** Waits until a check of a host has come to this. */
const found = (host: string, check: string, level: HostFinding['level'], words = /./) =>
  until(
    async () =>
      (await look()).find(
        (one) => one.host === host && one.check === check && one.level === level && words.test(one.what),
      ),
    `${host}: ${check}: ${level} ${words}`,
  );
const wellOf = (host: string, ...checks: string[]) => Promise.all(checks.map((check) => found(host, check, 'ok')));

/** curl at the client; answers the status, or 0 when there is no answer in two seconds. */
const curl = async (...more: string[]) => {
  const url = `http://${vip}/images/1.jpg`;
  const argv = ['curl', '-s', '-o', '/dev/null', '-w', '%{http_code}', '--max-time', '2', ...more, url];
  return Number((await client.exec(argv, { reject: false })).stdout);
};

const doctorOf = (host: Host, ...more: string[]) =>
  host.exec(ours(agentFile, agentFlags(host, director), 'doctor', ...more), { reject: false });

t.test('dsr-agent doctor says before joining what is wrong, and mends what is safe to mend', async (t) => {
  await sh(rs1, 'sysctl -qw net.ipv4.tcp_syncookies=0');
  const alone = await doctorOf(rs1);
  t.equal(alone.exitCode, 1);
  t.match(alone.stdout, /^\[BAD \] controller: the controller http:\/\/192\.0\.2\.10:7100 does not answer: /m);
  t.match(alone.stdout, /^\[BAD \] syn-flood: net\.ipv4\.tcp_syncookies is 0$/m);
  await site.startController();
  const mended = await doctorOf(rs1, '--fix');
  t.equal(mended.exitCode, 0, mended.stdout);
  t.match(mended.stdout, /^\[ ok \] controller: .* on this host's own network$/m);
  t.match(mended.stdout, /mended: sysctl -w net\.ipv4\.tcp_syncookies=1/);
  t.equal((await sh(rs1, 'sysctl -n net.ipv4.tcp_syncookies')).trim(), '1');
});

t.test('on a healthy site nothing is a problem, and little is a warning', async (t) => {
  for (const rs of [rs1, rs2]) site.startAgent(rs);
  await api.put('web', pool);
  await found('rs1', 'vip-source', 'ok');
  await found('rs2', 'vip-source', 'ok');
  await found('rs1', 'arp', 'ok', /^on lo, with ARP suppressed: 192\.0\.2\.100$/);
  const findings = await look();
  t.strictSame(
    findings.filter(({ level }) => level !== 'ok').map(({ host, check, level }) => `${host} ${check} ${level}`),
    ['director syn-flood warning', 'director neighbor-table unknown'],
    'the kernel’s own default of drop_entry, and a sysctl that is not there in a namespace',
  );
  const bits = Number(readFileSync('/sys/module/ip_vs/parameters/conn_tab_bits', 'utf8'));
  t.match(findings.find(({ check }) => check === 'connection-table')?.what, `conn_tab_bits=${bits},`);
});

t.test('a way that loses full frames is found, and smaller segments pass it', async (t) => {
  const long = () => curl('-H', `X-Long: ${'x'.repeat(4000)}`);
  // Else a virtual cable carries many segments as one frame, and no switch port is too narrow for it.
  await sh(client, 'ethtool -K eth0 tso off gso off');
  const route = async (rs: Host) => (await sh(rs, 'ip route show default')).trim();
  t.equal(await long(), 200);
  for (const rs of ['rs1', 'rs2']) execFileSync('ip', ['-n', 'switch', 'link', 'set', rs, 'mtu', '1400']);
  t.equal(await long(), 0);
  const finding = await found('rs1', 'mtu', 'problem', /^frames of 1500 bytes do not reach rs1 .*, small ones do$/);
  await found('rs2', 'mtu', 'problem');
  const size = /maxseg size set (\d+)/.exec(finding.fix.join('\n'))?.[1];
  // The kernels that these tests run on have no nftables for IP: the same said to the routes.
  for (const rs of [rs1, rs2]) await sh(rs, `ip route replace ${await route(rs)} advmss ${size}`);
  t.equal(await long(), 200);
  for (const rs of [rs1, rs2]) await sh(rs, `ip route replace ${(await route(rs)).replace(/ advmss .*/, '')}`);
  for (const rs of ['rs1', 'rs2']) execFileSync('ip', ['-n', 'switch', 'link', 'set', rs, 'mtu', '1500']);
  await wellOf('rs1', 'mtu');
});

t.test('a hash refuses what it gives a server that is out, until the fallback is set as the doctor says', async (t) => {
  // The table of sh has as many places of each as its weight is, and one when that is 0; that of mh by the weight before.
  const realServers = { rs1: { address: rs1.ip, weight: 1 }, rs2: { address: rs2.ip, weight: 1 } };
  const set = (scheduler: BalancedPort['scheduler'], ...schedulerFlags: BalancedPort['schedulerFlags'] & object) =>
    api.put('web', {
      ...pool,
      ports: { '80/tcp': { policy: 'real-servers', scheduler, schedulerFlags } },
      realServers,
    });
  const comesTo = (weight: string) =>
    until(
      async () => (await sh(director, `ipvsadm -Sn | sed -n 's/.* -r ${rs2.ip}:80 .* -w //p'`)).trim() === weight,
      `rs2 to have weight ${weight}`,
    );
  await set('rr');
  await comesTo('1');
  await images.get(rs2)?.end('SIGKILL');
  await comesTo('0');
  const dsrctl = ours('src/cli/dsrctl.js', { controller: `http://${director.ip}:7100` }).join(' ');
  const statuses = () => Promise.all(Array.from({ length: 30 }, () => curl()));
  for (const scheduler of ['sh', 'mh'] as const) {
    await set(scheduler, `${scheduler}-port`);
    const finding = await found('director', 'hash-scheduler', 'warning', RegExp(`: web 80/tcp \\(${scheduler}\\)$`));
    const of = await statuses();
    t.ok(of.includes(0) && of.includes(200), `${scheduler} refuses some: ${of}`);
    await sh(director, `dsrctl() { ${dsrctl} "$@"; }\n${finding.fix.join('\n')}`);
    await wellOf('director', 'hash-scheduler');
    t.ok(
      (await statuses()).every((status) => status === 200),
      `${scheduler} with its fallback refuses nobody`,
    );
  }
  images.set(rs2, await startImages(rs2, { count: 1, bytes: 2000 }));
  await api.put('web', pool);
});

t.test('what is wrong with a director, on the LAN and on real servers is found, and mended', async (t) => {
  const keys = '/proc/sys/net/ipv4/conf';
  t.comment('breaking');
  const listen = "require('node:net').createServer().listen(2222, '0.0.0.0')";
  const open = director.spawn('open-port', [process.execPath, '-e', listen]);
  const drop = `tc filter add dev eth0 egress protocol ip u32 match ip src ${vip}/32 action drop`;
  await sh(rs1, `tc qdisc add dev eth0 clsact; ${drop}; ip route replace default via ${director.ip}`);
  await sh(
    rs2,
    `ip link set eth0 mtu 1400
sysctl -qw net.ipv4.tcp_syncookies=0
ip link add up0 type dummy
ip address add 203.0.113.2/24 dev up0
ip link set up0 up
ip route replace default via 203.0.113.1
sysctl -qw net.ipv4.conf.all.rp_filter=1
for key in all eth0; do mount --bind ${keys}/$key/arp_ignore ${keys}/$key/arp_ignore; mount -o remount,bind,ro ${keys}/$key/arp_ignore; done`,
  );
  // Past the agent, for which the files are read-only.
  for (const key of ['all', 'eth0'])
    execFileSync('nsenter', [`--net=${rs2.netnsPath}`, 'sysctl', '-qw', `net.ipv4.conf.${key}.arp_ignore=0`]);
  const realServers = { far: { address: client.ip }, gone: { address: '192.0.2.99' } };
  await api.put('far', { ...pool, vip: '192.0.2.101', realServers }, 0);
  await api.call('POST', '/v1/agents/far/report', {
    ...{ protocol: 1, machineId: 'm', bootId: 'b', revision: 0, addresses: [client.ip], vips: {} },
    clock: Date.now() + 60_000,
  });

  t.comment('finding');
  await found('director', 'open-ports', 'warning', /192\.0\.2\.100:2222\/tcp/);
  const flood = await found('director', 'syn-flood', 'warning', /^net\.ipv4\.vs\.drop_entry is 0$/);
  await found('far', 'adjacency', 'problem', /reaches far \(198\.51\.100\.10\) by a gateway/);
  await found('gone', 'adjacency', 'problem', /gone \(192\.0\.2\.99\) does not answer/);
  await found('far', 'clock', 'warning', /(59|60)\.\d s ahead/);
  await found(
    'rs1',
    'vip-source',
    'problem',
    /answers from 192\.0\.2\.11, but what it sends from 192\.0\.2\.100 does not/,
  );
  const route = await found('rs1', 'default-route', 'problem', /through the director \(192\.0\.2\.10\)/);
  await found('rs2', 'mtu', 'warning', /of rs2 has an MTU of 1400.*MSS 1360/);
  const cookies = await found('rs2', 'syn-flood', 'problem', /^net\.ipv4\.tcp_syncookies is 0$/);
  const filter = await found('rs2', 'rp-filter', 'problem', /default route is by up0, and rp_filter=1/);
  await found('rs2', 'arp', 'problem', /would answer ARP for 192\.0\.2\.100: .*arp_ignore/);

  t.comment('dsr-controller doctor finds the same of its host, beside the one that runs');
  const own = await director.exec(ours(controllerFile, controllerFlags(director), 'doctor'), { reject: false });
  t.match(own.stdout, /^\[warn\] open-ports: .*2222\/tcp/m);
  t.match(own.stdout, /^ {7}\$ sysctl -w net\.ipv4\.vs\.drop_entry=1$/m);
  t.equal(own.exitCode, 0, own.stdout);

  t.comment('mending');
  await open.end();
  await type(director, flood);
  await sh(rs1, `tc qdisc del dev eth0 clsact; ${route.fix.join('\n').replaceAll('ROUTER', site.router.ip)}`);
  await type(rs2, cookies);
  await type(rs2, filter);
  await sh(rs2, `ip link set eth0 mtu 1500; umount ${keys}/all/arp_ignore ${keys}/eth0/arp_ignore`);
  await api.call('DELETE', '/v1/pools/far/real-servers/far?drainMs=0');
  await api.call('DELETE', '/v1/pools/far?drainMs=0');
  await wellOf('director', 'open-ports', 'syn-flood');
  await wellOf('rs1', 'default-route', 'vip-source');
  await wellOf('rs2', 'syn-flood', 'rp-filter', 'arp', 'mtu', 'vip-source');
  t.notOk((await look()).some(({ level, host }) => level === 'problem' && host !== 'far'));
});
