import type { Finding } from '../core/health.ts';
import { type ProberAddress, proberAddresses } from '../core/prober-address.ts';
import { type Target, targetKey } from '../core/targets.ts';
import type { Prober } from './probe.ts';

/** What the probes came to, of exactly the targets that are wanted now. */
export interface HealthBook {
  set(targets: readonly Target[]): void;
  findings(): ReadonlyMap<string, Finding>;
  problem(): string | undefined;
  probers(mac: string): string[];
}

/**
 * @param configured addresses of the prober that the operator chose
 * @param changed told when weights may depend on what has come
 */
export function createHealthBook(
  prober: Prober,
  configured: readonly ProberAddress[],
  changed: () => void,
): HealthBook {
  const found = new Map<string, Finding>();
  let wanted = new Set<string>();
  prober.onFindings((findings) => {
    for (const finding of findings) if (wanted.has(finding.key)) found.set(finding.key, finding);
    changed();
  });
  prober.onProblem(changed);
  return {
    set: (targets) => {
      const keys = targets.map(targetKey);
      if (keys.length === wanted.size && keys.every((key) => wanted.has(key))) return;
      wanted = new Set(keys);
      for (const key of found.keys()) if (!wanted.has(key)) found.delete(key);
      prober.set(targets);
    },
    findings: () => found,
    problem: () => prober.problem(),
    probers: (mac) => Object.values(proberAddresses(mac, configured)).map(({ address }) => address),
  };
}
