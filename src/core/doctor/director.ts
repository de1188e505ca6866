import { familyOf, withPort } from '../address.ts';
import type { Protocol } from '../kernel-state.ts';
import { type Finding, fine } from './finding.ts';

/** Whether the kernel has what the pools' schedulers need; `available` are those that it uses, has or can load. */
export function ipvsFinding(schedulers: Iterable<string>, available: ReadonlySet<string>): Finding {
  const check = 'ip-vs';
  const why = 'IPVS is the part of the kernel that spreads connections; each scheduler is a module of its own';
  const missing = [...new Set(schedulers)].filter((name) => !available.has(name)).sort();
  if (missing.length === 0) return fine(check, 'the kernel has IPVS and the schedulers of all pools', why);
  return {
    check,
    level: 'problem',
    what: `this kernel has no scheduler ${missing.join(', ')}`,
    why,
    fix: [
      'apt-get install linux-image-amd64   # the "cloud" kernels leave modules out; then boot it',
      ...missing.map((name) => `modprobe ip_vs_${name}`),
    ],
  };
}

/** Large receive offload and generic receive offload of a card, as `ethtool -k` tells. */
export interface Offload {
  lro: boolean;
  gro: boolean;
}

export function offloadFinding(interfaceName: string, lro: boolean | undefined): Finding {
  const check = 'lro';
  const why =
    'LRO merges packets in the card into ones larger than the MTU, which cannot be sent on; the kernel switches it off for routers only, and a director needs no ip_forward (GRO is harmless: what it merges is cut again)';
  if (lro === undefined)
    return {
      check,
      level: 'unknown',
      what: `the driver of ${interfaceName} does not say whether LRO is on`,
      why,
      fix: [],
    };
  if (!lro) return fine(check, `LRO is off on ${interfaceName}`, why);
  return {
    check,
    level: 'problem',
    what: `LRO is on on ${interfaceName}`,
    why,
    fix: [
      `ethtool -K ${interfaceName} lro off`,
      `# and for the next boot: a .link file with LargeReceiveOffload=false, or an "up ethtool …" line`,
    ],
  };
}

const table = 'inet dsr-ports';

/** A port that answers at a VIP and is in no pool. */
export interface OpenPort {
  vip: string;
  port: number;
  protocol: Protocol;
}

export function openPortsFinding(ports: readonly OpenPort[]): Finding {
  const check = 'open-ports';
  const why =
    'a VIP is an address of the director like any other: whatever listens there on all addresses can be reached by every visitor';
  if (ports.length === 0) return fine(check, 'nothing but the pools’ ports listens on the VIPs', why);
  const listed = ports.slice(0, 10);
  const list = listed.map(({ vip, port, protocol }) => `${withPort(vip, port)}/${protocol}`);
  return {
    check,
    level: 'warning',
    what: `besides the pools’ ports these listen on the VIPs: ${list.join(', ')}${ports.length > listed.length ? ` and ${ports.length - listed.length} more` : ''}`,
    why,
    fix: [
      `ss -lntup   # names the programs; let each listen on the director's own address only (sshd: ListenAddress), or close the port:`,
      `nft add table ${table}`,
      `nft 'add chain ${table} input { type filter hook input priority filter; }'`,
      ...listed.map(
        ({ vip, port, protocol }) =>
          `nft add rule ${table} input ${familyOf(vip) === 'ipv6' ? 'ip6' : 'ip'} daddr ${vip} ${protocol} dport ${port} drop`,
      ),
    ],
  };
}
