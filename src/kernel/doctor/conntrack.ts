import type { Conntrack } from '../../core/doctor/tables.ts';

/** How full connection tracking is (nf_conntrack-sysctl.rst); undefined where it is not loaded. */
export function readConntrack(sysctl: (key: string) => string | undefined): Conntrack | undefined {
  const [count, max] = ['count', 'max'].map((what) => sysctl(`net.netfilter.nf_conntrack_${what}`));
  return count === undefined || max === undefined ? undefined : { count: Number(count), max: Number(max) };
}
