import type { Family } from '../core/address.ts';
import type { Finding } from '../core/health.ts';
import type { ProberAddress } from '../core/prober-address.ts';
import type { KeyedTarget, ProbeCount } from './runner.ts';

/** From the controller to the prober's process. */
export type ToProcess =
  | {
      type: 'start';
      /** The link, which is in the process's namespace by then. */
      link: string;
      addresses: Record<Family, ProberAddress>;
      linkLocal: ProberAddress;
      programs: Readonly<Record<string, readonly string[]>>;
    }
  | { type: 'targets'; add: KeyedTarget[]; remove: string[] };

/** From the prober's process to the controller. */
export type FromProcess =
  /** The namespace is there. */
  | { type: 'hello' }
  /** The link works; targets may come. */
  | { type: 'ready' }
  | { type: 'findings'; findings: Finding[] }
  /** Each second. */
  | ({ type: 'beat' } & ProbeCount)
  /** The process ends now. */
  | { type: 'failed'; words: string };
