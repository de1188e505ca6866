import t from 'tap';
import { ipvsFinding, type OpenPort, offloadFinding, openPortsFinding } from '../../../src/core/doctor/director.ts';

t.test('every scheduler of the pools is there, or is named once', async (t) => {
  t.match(ipvsFinding(['wlc', 'wlc'], new Set(['wlc', 'rr'])), { level: 'ok', fix: [] });
  t.match(ipvsFinding(['sh', 'mh', 'sh', 'wlc'], new Set(['wlc'])), {
    level: 'problem',
    what: 'this kernel has no scheduler mh, sh',
    fix: [/linux-image/, 'modprobe ip_vs_mh', 'modprobe ip_vs_sh'],
  });
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
