// npm run bench -- evenness --simulate: the contest of the lab, and a pool that no lab can hold, in numbers.
import { cpus } from 'node:os';
import { type Contest, hold } from '../simulation/contest.ts';
import { inLab, scenarios } from '../simulation/scenarios.ts';
import { schedulerNames } from '../simulation/schedulers.ts';
import { median } from './numbers.ts';
import { table } from './result.ts';

/** How weights are made, and what they drive. */
type Side = Pick<Contest, 'scheduler' | 'driven'> & { name: string };
type Pool = Omit<Contest, 'scenario' | 'scheduler' | 'driven' | 'seed'>;

const small: Pool = { ...inLab, cards: 4, reportDelaySeconds: 0.5 };
const large: Pool = { ...small, cards: 1000, loads: [0.75], measuredSeconds: 30 };
const stock: Side[] = schedulerNames.map((scheduler) => ({ name: scheduler, scheduler }));
const headroom: Side = { name: 'headroom', scheduler: 'headroom' };
const driven: Side[] = schedulerNames.map((driven) => ({ name: `headroom, ${driven}`, scheduler: 'headroom', driven }));

const line = (of: readonly string[]) => process.stdout.write(`${of.join('')}\n`);
const started = performance.now();
const all = [
  ...contest('four real servers, median of 5 seeds', small, [...stock, headroom], Object.keys(scenarios), 5),
  ...contest('what weights by headroom drive, median of 5 seeds', small, driven, ['a', 'b', 'c'], 5),
  ...contest('1,000 real servers', large, [...stock, headroom], ['c'], 1),
  // The best of the others alone: each side takes half a minute.
  ...contest(
    '1,000 real servers, two sides',
    large,
    [...stock.filter(({ name }) => name === 'wlc'), headroom],
    ['b'],
    1,
  ),
];
line([`${((performance.now() - started) / 1000).toFixed(0)} s on ${cpus()[0]?.model}, Node ${process.version}`]);
if (process.argv[2]) (await import('node:fs')).writeFileSync(process.argv[2], `${JSON.stringify({ all }, null, 2)}\n`);

/** Prints a table a measure, a row a scenario and load; answers every figure. */
function contest(title: string, pool: Pool, sides: readonly Side[], keys: readonly string[], seeds: number) {
  const chosen = Object.entries(scenarios).filter(([key]) => keys.includes(key));
  const figures = chosen.flatMap(([key, scenario]) =>
    sides.flatMap((side) => {
      const runs = Array.from({ length: seeds }, (_, i) => hold({ ...pool, ...side, scenario, seed: 1000 * (i + 1) }));
      const connections = runs.reduce((sum, run) => sum + run.connections, 0);
      return pool.loads.map((load, i) => {
        const middle = (of: (phase: (typeof runs)[number]['phases'][number]) => number) =>
          median(runs.flatMap(({ phases }) => (phases[i] ? [of(phases[i])] : [])));
        return {
          what: `${key} ${scenario.name}, ${load * 100} %`,
          side: side.name,
          connections,
          uneven: middle(({ unevenness }) => unevenness * 100),
          even: middle(({ secondsToEven }) => secondsToEven ?? Number.POSITIVE_INFINITY),
          mbit: middle(({ mbit }) => mbit),
          p99: middle(({ p99Seconds }) => p99Seconds),
        };
      });
    }),
  );
  const rows = [...new Set(figures.map(({ what }) => what))];
  const print = (measure: string, of: (figure: (typeof figures)[number]) => string) =>
    line([
      `\n${title}: ${measure}\n`,
      table([
        ['', ...sides.map(({ name }) => name)],
        ...rows.map((what) => [
          what,
          ...sides.map((side) =>
            figures
              .filter((one) => one.what === what && one.side === side.name)
              .map(of)
              .join(),
          ),
        ]),
      ]),
    ]);
  print('unevenness of the cards, %', ({ uneven }) => uneven.toFixed(1));
  print('seconds until even after the change', ({ even }) => (Number.isFinite(even) ? even.toFixed(0) : 'never'));
  print('Mbit/s', ({ mbit }) => mbit.toFixed(0));
  print('p99 of a request, s', ({ p99 }) => p99.toFixed(1));
  const most = Math.max(...figures.map(({ connections }) => connections / seeds));
  line([`\n${title}: up to ${Math.round(most).toLocaleString('en')} connections a run`]);
  return figures;
}
