import type { Finding, Health } from '../src/core/health.ts';
import { type Target, targetKey } from '../src/core/targets.ts';
import type { HealthSource } from '../src/director/health.ts';

export const up: Omit<Health, 'streak'> = { verdict: 'up', hard: false, words: 'answered' };
export const down: Omit<Health, 'streak'> = { verdict: 'down', hard: false, words: 'does not answer' };
export const refused: Omit<Health, 'streak'> = { verdict: 'down', hard: true, words: 'is refused' };

/** Findings where every target that is asked for is up. */
export const everyProbeUp: ReadonlyMap<string, Finding> = new (class extends Map<string, Finding> {
  override get(key: string): Finding {
    return { key, health: up, at: 0 };
  }
})();

/** Checks whose outcome the test decides; every target is up unless it says otherwise. */
export interface FakeHealth extends HealthSource {
  targets: readonly Target[];
  trouble: string | undefined;
  /** What a target is found to be; undefined: not looked at yet. */
  judge: (target: Target) => Omit<Health, 'streak'> | undefined;
}

export function createFakeHealth(): FakeHealth {
  const health: FakeHealth = {
    targets: [],
    trouble: undefined,
    judge: () => up,
    set: (targets) => {
      health.targets = targets;
    },
    findings: () => {
      const found = new Map<string, Finding>();
      for (const target of health.targets) {
        const [key, judged] = [targetKey(target), health.judge(target)];
        if (judged) found.set(key, { key, health: judged, at: 0 });
      }
      return found;
    },
    problem: () => health.trouble,
    probers: () => [],
  };
  return health;
}
