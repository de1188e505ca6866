import type { Finding } from '../core/health.ts';
import type { Target } from '../core/targets.ts';

/** What the director asks of the checks. */
export interface HealthSource {
  /** What is to be checked from now on. */
  set(targets: readonly Target[]): void;
  /** What the probes came to, by key of their target. */
  findings(): ReadonlyMap<string, Finding>;
  /** Why nothing can be probed at present, in words. */
  problem(): string | undefined;
  /** Addresses that probes come from when the interface has this Ethernet address. */
  probers(mac: string): string[];
}
