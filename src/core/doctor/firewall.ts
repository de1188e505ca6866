import { familyOf, inNetwork, isNetwork } from '../address.ts';
import { droppingRule, type Filter, reachedRules } from './filter-rule.ts';
import { type Finding, fine } from './finding.ts';
import { iptablesFilter, type SavedTables } from './iptables.ts';
import { nftFilter, type Ruleset } from './nft.ts';

/** The rules of a host's packet filter, or why they cannot be read, in words. */
export type Firewall = { ruleset: Ruleset; saved: readonly SavedTables[] } | { unknown: string };

const check = 'firewall';
const why =
  'IPVS takes clients’ packets away before connection tracking remembers their connection, and the replies pass elsewhere: to it each client’s last packets (FIN, RST), and with nf_conntrack_tcp_loose=0 all but the first, are "invalid". Where those are dropped, connections never end on the real servers and stay in the table of IPVS for 15 minutes, or do not come about at all';

/**
 * Finds rules that drop packets of state invalid on the way into this host, where IPVS takes them (it sits behind the
 * input hook's filter, ip_vs_ops in net/netfilter/ipvs/ip_vs_core.c).
 */
export function firewallFinding(firewall: Firewall, vips: readonly string[]): Finding {
  if ('unknown' in firewall)
    return { check, level: 'unknown', what: `the firewall cannot be read: ${firewall.unknown}`, why, fix: [] };
  const filters = [nftFilter(firewall.ruleset), ...firewall.saved.map(iptablesFilter)];
  const [first] = filters.flatMap((filter, i) => {
    const rule = droppingRule(filter);
    return rule ? [{ place: rule.place, by: firewall.saved[i - 1]?.by ?? 'nft' }] : [];
  });
  if (!first) return fine(check, 'no firewall rule drops packets of state invalid', why);
  const open = vips.filter((vip) => !isUntracked(vip, filters));
  if (vips.length > 0 && open.length === 0)
    return fine(check, `a rule drops packets of state invalid (${first.place}), and the VIPs are not tracked`, why);
  return {
    check,
    level: 'problem',
    what: `a firewall rule drops packets of state invalid: ${first.place}`,
    why,
    fix: first.by.endsWith('-legacy') ? legacyLines(open) : nftLines(open),
  };
}

const isUntracked = (vip: string, filters: readonly Filter[]) =>
  filters
    .flatMap((filter) => reachedRules(filter).flatMap(({ untracked }) => untracked))
    .some((one) => one === vip || (isNetwork(one) && inNetwork(vip, one)));

const table = 'inet dsr-notrack';

/** Packets that are not tracked are not invalid; other rules of the firewall still decide on them. */
function nftLines(vips: readonly string[]): string[] {
  return [
    `nft add table ${table}`,
    `nft 'add chain ${table} prerouting { type filter hook prerouting priority raw; }'`,
    ...vips.map(
      (vip) => `nft add rule ${table} prerouting ${familyOf(vip) === 'ipv6' ? 'ip6' : 'ip'} daddr ${vip} notrack`,
    ),
    `# and for the next boot: nft list table ${table} >> /etc/nftables.conf (and systemctl enable nftables)`,
  ];
}

function legacyLines(vips: readonly string[]): string[] {
  const program = (vip: string) => (familyOf(vip) === 'ipv6' ? 'ip6tables' : 'iptables');
  return [
    ...vips.map((vip) => `${program(vip)}-legacy -t raw -A PREROUTING -d ${vip} -j CT --notrack`),
    '# and for the next boot, where the rules of this host are kept: apt-get install iptables-persistent',
  ];
}
