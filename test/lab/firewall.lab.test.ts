// On the kernel that has a firewall for IPv4.
import { execFileSync } from 'node:child_process';
import t from 'tap';
import type { Host } from '../../infra/lab/host.ts';
import { vip } from '../../infra/lab/hosts.ts';
import { startImages } from '../../infra/lab/parts.ts';
import type { HostFinding } from '../../src/director/doctor.ts';
import { makeSite } from './site.ts';

const site = await makeSite(t, { realServers: 1 });
const { api, client, director, rs1, until } = site;
await startImages(rs1, { count: 1, bytes: 2000 });
await site.startController();
site.startAgent(rs1);
await api.put('web', {
  vip,
  ports: { '80/tcp': { policy: 'real-servers', scheduler: 'rr' } },
  realServers: { rs1: { address: rs1.ip } },
});

const sh = async (host: Host, script: string) => (await host.exec(['sh', '-ec', script])).stdout;
const look = async () => (await api.call<{ findings: HostFinding[] }>('GET', '/v1/doctor')).body.findings;
/** Waits until a check of the director has come to this. */
const found = (check: string, level: HostFinding['level'], words = /./) =>
  until(
    async () =>
      (await look()).find(
        (one) => one.host === 'director' && one.check === check && one.level === level && words.test(one.what),
      ),
    `${check}: ${level} ${words}`,
  );

/** curl at the client; answers the status, or 0 when there is no answer in two seconds. */
const curl = async () => {
  const argv = ['curl', '-s', '-o', '/dev/null', '-w', '%{http_code}', '--max-time', '2', `http://${vip}/images/1.jpg`];
  return Number((await client.exec(argv, { reject: false })).stdout);
};
await until(async () => (await curl()) === 200, 'the pool to serve');

t.test('a rule that drops packets of state invalid breaks connections, until the lines are typed', async (t) => {
  t.equal(await curl(), 200);
  await sh(director, 'iptables-legacy -A INPUT -m conntrack --ctstate INVALID -j DROP');
  t.equal(await curl(), 200, 'they come about,');
  t.match(await sh(director, 'ipvsadm -Lcn'), /ESTABLISHED 198\.51\.100\.10/, 'and do not end');
  await sh(director, 'sysctl -qw net.netfilter.nf_conntrack_tcp_loose=0');
  t.equal(await curl(), 0, 'they do not come about');
  const finding = await found('firewall', 'problem', /iptables-legacy, table filter: -A INPUT .*INVALID/);
  await sh(director, finding.fix.join('\n'));
  t.equal(await curl(), 200);
  await found('firewall', 'ok', /the VIPs are not tracked/);
  await sh(director, 'iptables-legacy -F; iptables-legacy -t raw -F');
});

t.test('connection tracking that is nearly full is told, and made larger', async (t) => {
  // Connections are tracked while a rule asks for it, and IPVS's own are not.
  await sh(director, 'iptables-legacy -A INPUT -m conntrack --ctstate ESTABLISHED -j ACCEPT');
  await sh(rs1, `for i in $(seq 20); do curl -so /dev/null http://${director.ip}:7100/healthz; done`);
  const count = Number(await sh(director, 'sysctl -n net.netfilter.nf_conntrack_count'));
  t.ok(count > 10, `${count} connections`);
  // One for all network namespaces, set by the first.
  execFileSync('sysctl', ['-qw', `net.netfilter.nf_conntrack_max=${count + 1}`]);
  const finding = await until(
    async () => (await look()).find((one) => one.check === 'conntrack' && ['warning', 'problem'].includes(one.level)),
    'the table to be nearly full',
  );
  t.equal(finding.host, 'director');
  execFileSync('sh', ['-ec', finding.fix.join('\n')]);
  await found('conntrack', 'ok');
});
