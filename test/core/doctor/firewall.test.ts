import t from 'tap';
import { firewallFinding } from '../../../src/core/doctor/firewall.ts';
import type { Ruleset } from '../../../src/core/doctor/nft.ts';

const [vip, vip6] = ['192.0.2.100', '2001:db8::100'];
const of = { family: 'inet', table: 'f', chain: 'in', handle: 7 };
const input = { chain: { family: 'inet', table: 'f', name: 'in', hook: 'prerouting' } };
const invalid = { match: { op: 'in', left: { ct: { key: 'state' } }, right: 'invalid' } };
const dropping = { rule: { ...of, expr: [invalid, { drop: null }] } };
const notrack = (right: unknown) => ({
  rule: { ...of, expr: [{ match: { op: '==', left: { payload: { field: 'daddr' } }, right } }, { notrack: null }] },
});
const nft = (...nftables: Ruleset['nftables']) => ({ ruleset: { nftables: [input, ...nftables] }, saved: [] });
const legacy = (...lines: string[]) => ({
  ruleset: { nftables: [] },
  saved: [
    {
      by: 'iptables-legacy',
      text: ['*filter', '-A INPUT -m state --state INVALID -j DROP', '*raw', ...lines].join('\n'),
    },
  ],
});

t.test('a firewall without such a rule is fine; one that cannot be read is not known', async (t) => {
  t.match(firewallFinding(nft(), [vip]), { level: 'ok', fix: [] });
  t.match(firewallFinding({ unknown: 'no nft' }, [vip]), {
    level: 'unknown',
    what: 'the firewall cannot be read: no nft',
  });
});

t.test('a rule of nftables is named, with the lines that exempt the VIPs which are not exempt yet', async (t) => {
  const finding = firewallFinding(nft(notrack(vip6), dropping), [vip, vip6]);
  t.match(finding, {
    level: 'problem',
    what: 'a firewall rule drops packets of state invalid: inet table f, chain in, handle 7',
  });
  t.strictSame(finding.fix.slice(0, -1), [
    'nft add table inet dsr-notrack',
    "nft 'add chain inet dsr-notrack prerouting { type filter hook prerouting priority raw; }'",
    `nft add rule inet dsr-notrack prerouting ip daddr ${vip} notrack`,
  ]);
  t.match(firewallFinding(nft(dropping), [vip6]).fix[2], /ip6 daddr 2001:db8::100 notrack$/);
  t.match(firewallFinding(nft(dropping), []), { level: 'problem' }, 'before the first pool');
});

t.test('VIPs that are not tracked do not mind', async (t) => {
  t.match(firewallFinding(nft(dropping, notrack({ set: [vip, vip6] })), [vip, vip6]), {
    level: 'ok',
    what: /handle 7\), and the VIPs are not tracked$/,
  });
  t.match(firewallFinding(nft(dropping, notrack({ prefix: { addr: '192.0.2.0', len: 24 } })), [vip]), { level: 'ok' });
  t.match(firewallFinding(nft(dropping, notrack('eth0/x')), [vip]), { level: 'problem' });
});

t.test('a rule of the older iptables is mended by iptables', async (t) => {
  const { fix, ...finding } = firewallFinding(legacy(), [vip, vip6]);
  t.match(finding, {
    level: 'problem',
    what: /iptables-legacy, table filter: -A INPUT -m state --state INVALID -j DROP$/,
  });
  t.strictSame(fix.slice(0, -1), [
    `iptables-legacy -t raw -A PREROUTING -d ${vip} -j CT --notrack`,
    `ip6tables-legacy -t raw -A PREROUTING -d ${vip6} -j CT --notrack`,
  ]);
  t.match(firewallFinding(legacy(`-A PREROUTING -d ${vip}/32 -j CT --notrack`), [vip]), { level: 'ok' });
});
