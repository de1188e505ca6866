import t from 'tap';
import {
  hashFinding,
  ipvsFinding,
  type OpenPort,
  offloadFinding,
  openPortsFinding,
} from '../../../src/core/doctor/director.ts';
import type { BalancedPort } from '../../../src/schema.ts';

t.test('every scheduler of the pools is there, or is named once', async (t) => {
  t.match(ipvsFinding(['wlc', 'wlc'], new Set(['wlc', 'rr'])), { level: 'ok', fix: [] });
  t.match(ipvsFinding(['sh', 'mh', 'sh', 'wlc'], new Set(['wlc'])), {
    level: 'problem',
    what: 'this kernel has no scheduler mh, sh',
    fix: [/linux-image/, 'modprobe ip_vs_mh', 'modprobe ip_vs_sh'],
  });
});

t.test('a hash without its fallback is told, with the line that sets it', async (t) => {
  const port = (scheduler: BalancedPort['scheduler'], ...schedulerFlags: NonNullable<BalancedPort['schedulerFlags']>) => ({ pool: 'web', key: '80/tcp', scheduler, schedulerFlags }); // biome-ignore format: short
  const level = (...of: Parameters<typeof port>) => hashFinding([port(...of)]).level;
  t.match(hashFinding([]), { level: 'ok', what: 'no port picks by a hash', fix: [] });
  t.equal(level('wlc'), 'ok');
  t.equal(level('mh', 'mh-port', 'mh-fallback'), 'ok');
  t.equal(level('sh', 'flag-1'), 'ok');
  t.match(hashFinding([port('rr'), port('mh', 'mh-port'), port('sh'), port('dh')]), {
    level: 'warning',
    what: /refused: web 80\/tcp \(mh\), web 80\/tcp \(sh\), web 80\/tcp \(dh\)$/,
    fix: [
      `dsrctl set pool web 'ports.80/tcp.schedulerFlags=["mh-port","mh-fallback"]'`,
      `dsrctl set pool web 'ports.80/tcp.schedulerFlags=["sh-fallback"]'`,
      `dsrctl set pool web ports.80/tcp.scheduler=mh 'ports.80/tcp.schedulerFlags=["mh-fallback"]'`,
    ],
  });
  const many = hashFinding(Array.from({ length: 12 }, () => port('sh')));
  t.match(many.what, / and 2 more$/);
  t.equal(many.fix.length, 10);
});

t.test('LRO is to be off', async (t) => {
  t.match(offloadFinding('eth0', undefined), { level: 'unknown', fix: [] });
  t.match(offloadFinding('eth0', false), { level: 'ok', what: 'LRO is off on eth0' });
  t.match(offloadFinding('eth0', true), {
    level: 'problem',
    what: 'LRO is on on eth0',
    fix: ['ethtool -K eth0 lro off', /^#/],
  });
});

t.test('what else listens on the VIPs is named, ten of it, with lines that close it', async (t) => {
  t.match(openPortsFinding([]), { level: 'ok', fix: [] });
  const open: OpenPort[] = [
    { vip: '192.0.2.100', port: 22, protocol: 'tcp' },
    { vip: '2001:db8::100', port: 53, protocol: 'udp' },
  ];
  const finding = openPortsFinding(open);
  t.match(finding, { level: 'warning', what: /: 192\.0\.2\.100:22\/tcp, \[2001:db8::100\]:53\/udp$/ });
  t.strictSame(finding.fix.slice(1), [
    'nft add table inet dsr-ports',
    "nft 'add chain inet dsr-ports input { type filter hook input priority filter; }'",
    'nft add rule inet dsr-ports input ip daddr 192.0.2.100 tcp dport 22 drop',
    'nft add rule inet dsr-ports input ip6 daddr 2001:db8::100 udp dport 53 drop',
  ]);
  const many = Array.from({ length: 12 }, (_, i) => ({ vip: '192.0.2.100', port: i + 1, protocol: 'tcp' as const }));
  t.match(openPortsFinding(many), { what: /:10\/tcp and 2 more$/ });
  t.equal(openPortsFinding(many).fix.length, 13);
});
