import { type Finding, fine, sysctlFix } from './finding.ts';

/** Connections that connection tracking has, and may have. */
export interface Conntrack {
  count: number;
  max: number;
}

const fullShare = 0.8;

export function conntrackFinding(conntrack: Conntrack | undefined): Finding {
  const check = 'conntrack';
  const why =
    'when the table of connection tracking is full the kernel drops what is not in it: on a director, every packet of every visitor';
  if (!conntrack) return fine(check, 'connection tracking is not loaded', why);
  const { count, max } = conntrack;
  const what = `connection tracking has ${count} of at most ${max} entries`;
  if (count < max * fullShare) return fine(check, what, why);
  return {
    check,
    level: count >= max ? 'problem' : 'warning',
    what,
    why,
    ...sysctlFix('conntrack', { 'net.netfilter.nf_conntrack_max': String(max * 4) }),
  };
}

/** What the table of IPVS connections is. */
export interface ConnectionTable {
  /** Its size is two to this (conn_tab_bits). */
  bits: number;
  /** Connections in it now. */
  connections: number;
}

/** struct ip_vs_conn with its slab's share, as slabinfo shows it on x86-64 (objsize of ip_vs_conn, Linux 6.1). */
const entryBytes = 320;
/** A bucket is one pointer (struct hlist_head). */
const bucketBytes = 8;
/** Connections a bucket from which on a look-up takes noticeably longer. */
const crowded = 4;

export function connectionTableFinding(table: ConnectionTable | undefined): Finding {
  const check = 'connection-table';
  const why =
    'IPVS finds each packet’s connection in a hash table of fixed size; a crowded one costs processor time on every packet';
  if (!table)
    return { check, level: 'unknown', what: 'this kernel does not tell the size of the table of IPVS', why, fix: [] };
  const { bits, connections } = table;
  const size = 2 ** bits;
  const mib = (bytes: number) => `${(bytes / 2 ** 20).toFixed(1)} MiB`;
  const what = `the table of IPVS has ${size} buckets (conn_tab_bits=${bits}, ${mib(size * bucketBytes)}) and ${connections} connections (about ${mib(connections * entryBytes)})`;
  if (connections <= size * crowded) return fine(check, what, why);
  // Every kernel takes this much (net/netfilter/ipvs/Kconfig, IP_VS_TAB_BITS).
  const wanted = Math.min(20, Math.ceil(Math.log2(connections)));
  return {
    check,
    level: 'warning',
    what,
    why,
    fix:
      wanted > bits
        ? [
            `echo 'options ip_vs conn_tab_bits=${wanted}' > /etc/modprobe.d/dsr-ip_vs.conf`,
            '# it is read when ip_vs is loaded: with the next boot, or after dsr-controller teardown and modprobe -r ip_vs',
          ]
        : [],
  };
}

/** The director's own defence, and a real server's, against floods of opening packets. */
export function synFloodFinding(
  role: 'director' | 'real-server',
  sysctls: ReadonlyMap<string, string | undefined>,
): Finding {
  const check = 'syn-flood';
  if (role === 'director') {
    const why =
      'each opening packet costs the director memory for a minute, also a forged one; drop_entry=1 lets IPVS drop the oldest half-open ones when memory gets short (ipvs-sysctl.rst)';
    const key = 'net.ipv4.vs.drop_entry';
    const value = sysctls.get(key);
    if (value === undefined) return { check, level: 'unknown', what: `this kernel has no ${key}`, why, fix: [] };
    if (value !== '0') return fine(check, `${key} is ${value}`, why);
    return { check, level: 'warning', what: `${key} is 0`, why, ...sysctlFix('syn-flood', { [key]: '1' }) };
  }
  const why =
    'real servers answer the opening packets that the director forwards; without SYN cookies a flood of forged ones fills their queue and visitors are not answered (ip-sysctl.rst, tcp_syncookies)';
  const key = 'net.ipv4.tcp_syncookies';
  const value = sysctls.get(key);
  if (value === undefined) return { check, level: 'unknown', what: `this kernel has no ${key}`, why, fix: [] };
  if (value !== '0') return fine(check, `${key} is ${value}`, why);
  return { check, level: 'problem', what: `${key} is 0`, why, ...sysctlFix('syn-flood', { [key]: '1' }) };
}

/** Whether the kernel's memory of neighbors is large enough for a LAN with so many real servers. */
export function neighborTableFinding(neighbors: number, sysctls: ReadonlyMap<string, string | undefined>): Finding {
  const check = 'neighbor-table';
  const key = 'net.ipv4.neigh.default.gc_thresh3';
  const why =
    'the director remembers the Ethernet address of each real server, the prober does so once more, and beyond gc_thresh3 the kernel forgets and drops (ip-sysctl.rst)';
  const limit = Number(sysctls.get(key) ?? Number.NaN);
  if (Number.isNaN(limit)) return { check, level: 'unknown', what: `this kernel has no ${key}`, why, fix: [] };
  const needed = neighbors * 2 + 100;
  if (limit >= needed) return fine(check, `${key} is ${limit}, for ${neighbors} real servers`, why);
  return {
    check,
    level: 'problem',
    what: `${key} is ${limit}, too few for ${neighbors} real servers`,
    why,
    ...sysctlFix('neighbors', {
      'net.ipv4.neigh.default.gc_thresh2': String(needed * 2),
      [key]: String(needed * 4),
    }),
  };
}
