// The benchmark of evenness in the simulation: pools that no lab can hold.
import { writeFileSync } from 'node:fs';
import { type Contest, hold } from '../simulation/contest.ts';
import { scenarios } from '../simulation/scenarios.ts';
import { schedulerNames } from '../simulation/schedulers.ts';
import { median } from './numbers.ts';
import { table } from './result.ts';

export interface Plan extends Omit<Contest, 'scenario' | 'scheduler' | 'seed'> {
  seeds: number;
}

export function simulateEvenness(
  plan: Plan,
  only = Object.keys(scenarios),
  sides = [...schedulerNames, 'headroom'] as const,
) {
  const rows: string[][] = [['', ...sides]];
  let connections = 0;
  for (const key of only) {
    const scenario = scenarios[key];
    if (!scenario) continue;
    const results = sides.map((scheduler) =>
      Array.from({ length: plan.seeds }, (_, i) => hold({ ...plan, scenario, scheduler, seed: (i + 1) * 1000 })),
    );
    connections += results.flat().reduce((sum, of) => sum + of.connections, 0);
    for (const [i, load] of plan.loads.entries())
      rows.push([
        `${key} ${scenario.name}, ${load * 100} %`,
        ...results.map((of) => {
          const phases = of.flatMap((one) => one.phases[i] ?? []);
          const even = median(phases.map((p) => p.secondsToEven ?? Number.POSITIVE_INFINITY));
          return `${(median(phases.map((p) => p.unevenness)) * 100).toFixed(1)} / ${Number.isFinite(even) ? even : '-'} / ${median(phases.map((p) => p.mbit)).toFixed(0)} / ${median(phases.map((p) => p.p99Seconds)).toFixed(1)}`;
        }),
      ]);
    console.log(table([rows[0] ?? [], ...rows.slice(-plan.loads.length)]));
  }
  return { rows, connections };
}
if (process.argv[1]?.endsWith('simulate.ts')) {
  const only = (process.env.S ?? 'abcde').split('');
  simulateEvenness(
    {
      cards: 4,
      cardMbit: 20,
      medianBytes: 16000,
      loads: [0.5, 0.75, 0.95],
      warmUpSeconds: 10,
      settleSeconds: 10,
      measuredSeconds: 30,
      reportDelaySeconds: 0.5,
      seeds: Number(process.env.SEEDS ?? 3),
    },
    only,
    (process.env.A?.split(',') ?? [...schedulerNames, 'headroom']) as never,
  );
}
void writeFileSync;
