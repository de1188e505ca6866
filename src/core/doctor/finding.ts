import type { Step } from '../steps.ts';

/** What one check of a host came to. */
export interface Finding {
  /** Stable name of the check, such as "rp-filter". */
  check: string;
  /** unknown: it cannot be looked at here; `what` says why. */
  level: 'ok' | 'warning' | 'problem' | 'unknown';
  /** What is so. */
  what: string;
  /** Why it matters for Direct Server Return. */
  why: string;
  /** Commands to type on that host, or lines for a file; empty when there is nothing to mend. */
  fix: string[];
  /** The same as steps, where it is safe to let the doctor do it. */
  steps?: Step[];
}

/** All is well with what `check` looks at. */
export const fine = (check: string, what: string, why: string): Finding => ({ check, level: 'ok', what, why, fix: [] });

/** Sets sysctls now and for the next boot; `name` becomes part of a file's name. */
export function sysctlFix(name: string, wanted: Readonly<Record<string, string>>): Pick<Finding, 'fix' | 'steps'> {
  const entries = Object.entries(wanted);
  return {
    fix: [
      ...entries.map(([key, value]) => `sysctl -w ${key}=${value}`),
      `printf '%s\\n' ${entries.map(([key, value]) => `'${key} = ${value}'`).join(' ')} > /etc/sysctl.d/90-dsr-${name}.conf`,
    ],
    steps: entries.map(([key, value]) => ({ op: 'set-sysctl', key, value })),
  };
}
