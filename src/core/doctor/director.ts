import type { BalancedPort } from '../../schema.ts';
import { familyOf, withPort } from '../address.ts';
import { schedulerBit } from '../director.ts';
import type { Protocol } from '../kernel-state.ts';
import { type Finding, fine } from './finding.ts';

/** When these are mended the doctor names the next. */
const mostListed = 10;

const listOf = (names: readonly string[]): string =>
  `${names.slice(0, mostListed).join(', ')}${names.length > mostListed ? ` and ${names.length - mostListed} more` : ''}`;

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

/** What picks the real servers of a pool's port, such as "80/tcp". */
export interface ScheduledPort extends Pick<BalancedPort, 'scheduler' | 'schedulerFlags'> {
  pool: string;
  key: string;
}

/**
 * Whether connections go elsewhere when the real server that a hash gives them is out, that is, has weight 0: ip_vs_mh.c fills its
 * table by the last weight that was not 0, ip_vs_sh.c and ip_vs_dh.c give each destination a place; without the fallback there is
 * "no destination available".
 */
export function hashFinding(ports: readonly ScheduledPort[]): Finding {
  const check = 'hash-scheduler';
  const why =
    'mh, sh and dh pick by a hash, in which a real server that is out keeps places: with mh its share, with sh and dh one place in each turn of the table. Without the fallback new connections that fall there are refused until it is back';
  const hashed = ports.filter(({ scheduler }) => ['sh', 'mh', 'dh'].includes(scheduler));
  const bare = hashed.filter(
    ({ scheduler, schedulerFlags = [] }) =>
      scheduler === 'dh' || !schedulerFlags.some((flag) => schedulerBit(flag) === 'flag-1'),
  );
  if (bare.length === 0)
    return fine(check, hashed.length ? 'all ports with a hash have its fallback' : 'no port picks by a hash', why);
  return {
    check,
    level: 'warning',
    what: `new connections that the hash gives a real server that is out are refused: ${listOf(bare.map(({ pool, key, scheduler }) => `${pool} ${key} (${scheduler})`))}`,
    why,
    fix: bare
      .slice(0, mostListed)
      .map(({ pool, key, scheduler, schedulerFlags = [] }) =>
        scheduler === 'dh'
          ? `dsrctl set pool ${pool} ports.${key}.scheduler=mh 'ports.${key}.schedulerFlags=["mh-fallback"]'`
          : `dsrctl set pool ${pool} 'ports.${key}.schedulerFlags=${JSON.stringify([...schedulerFlags, `${scheduler}-fallback`])}'`,
      ),
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
  return {
    check,
    level: 'warning',
    what: `besides the pools’ ports these listen on the VIPs: ${listOf(ports.map(({ vip, port, protocol }) => `${withPort(vip, port)}/${protocol}`))}`,
    why,
    fix: [
      `ss -lntup   # names the programs; let each listen on the director's own address only (sshd: ListenAddress), or close the port:`,
      `nft add table ${table}`,
      `nft 'add chain ${table} input { type filter hook input priority filter; }'`,
      ...ports
        .slice(0, mostListed)
        .map(
          ({ vip, port, protocol }) =>
            `nft add rule ${table} input ${familyOf(vip) === 'ipv6' ? 'ip6' : 'ip'} daddr ${vip} ${protocol} dport ${port} drop`,
        ),
    ],
  };
}
