import type { Finding } from '../core/health.ts';
import type { Target } from '../core/targets.ts';

/** The director's prober; probes in a network namespace of their own, in a process of their own. */
export interface Prober {
  /** Checks exactly these from now on. */
  set(targets: Iterable<Target>): void;
  /** Findings in batches; those of a target that is no longer set may still come. */
  onFindings(listener: (findings: Finding[]) => void): void;
  /** Why nothing can be checked at present, in words; undefined when all is well. */
  problem(): string | undefined;
  /** Called when {@link problem} changes. */
  onProblem(listener: () => void): void;
  stop(): Promise<void>;
}

export interface ProberOptions {
  /** The director's interface, whose network the real servers are on. */
  interface: string;
  link: 'ipvlan' | 'macvlan';
  /** Addresses of its own, at most one a family, with prefix; a family without one has a link-local or ULA address. */
  addresses: readonly { address: string; prefix: number }[];
  /** Programs of `exec` checks: absolute path and arguments by name. */
  programs: Readonly<Record<string, readonly string[]>>;
  log: { info(keys: object, message: string): void; warn(keys: object, message: string): void };
}
