// In a guest: what all benchmarks have in common. node NAME.ts RESULT ROUNDS [PART] [FLAG...]
import { writeFileSync } from 'node:fs';
import { release } from 'node:os';
import { basename } from 'node:path';
import type { Goal } from '../lab/events.ts';
import { resultName } from './benchmarks.ts';
import { figureOf, type Value } from './numbers.ts';
import { type Measured, measuredSchema } from './result.ts';
import { versionsOf } from './versions.ts';

interface Measure {
  what: string;
  unit: string;
  /** Its table's name, where a benchmark has several. */
  group?: string;
  /** Which values are the faster ones. Default: less. */
  better?: 'less' | 'more';
}

/** What was measured of one side in one round, by the measure's key. */
type Values<Key extends string> = Partial<Record<Key, Value>>;

export interface Bench<Key extends string, Side extends string> {
  rounds: number;
  /** Every side once a round, and in the next round in the opposite order. */
  alternate: (measure: (side: Side, round: number) => Promise<Values<Key>>) => Promise<void>;
  record: (side: Side, values: Values<Key>) => void;
  median: (key: Key, side: Side) => Value;
  /** By round; nothing where it never came. */
  values: (key: Key, side: Side) => number[];
  /** Writes the result. The exit code is 1 when a goal was missed. */
  finish: (end: {
    settings: Measured['settings'];
    programs: string[];
    about: string;
    verdict: Goal[];
    /** What the tables call a side, where that is known only at the end. */
    called?: (side: Side) => string;
  }) => Promise<void>;
}

/** The benchmark's own flags, as they were given. */
export const givenFlags = (): string[] => process.argv.slice(4).filter((word) => word.startsWith('--'));

/** Which part of the benchmark it is; '' where it has none. */
export const givenPart = (): string => process.argv.slice(4).find((word) => !word.startsWith('--')) ?? '';

export function startBench<Key extends string, Side extends string>(declared: {
  /** As they are called in the table's head. */
  sides: readonly Side[];
  measures: Record<Key, Measure>;
  /** Whatever is asked for. */
  mostRounds?: number;
}): Bench<Key, Side> {
  const [program = '', file = '', roundsText = ''] = process.argv.slice(1);
  const name = resultName(basename(program, '.ts'), givenPart());
  const rounds = Math.min(Number(roundsText), declared.mostRounds ?? Number.POSITIVE_INFINITY);
  const measures = Object.entries(declared.measures) as [Key, Measure][];
  const all = new Map<Key, Map<Side, Value[]>>(measures.map(([key]) => [key, new Map()]));
  const record = (side: Side, values: Values<Key>): void => {
    for (const [key, value] of Object.entries(values) as [Key, Value][])
      all.get(key)?.set(side, [...(all.get(key)?.get(side) ?? []), value]);
  };
  const figure = (key: Key, side: Side) => {
    const values = all.get(key)?.get(side);
    return values && figureOf(values, declared.measures[key].better);
  };
  return {
    rounds,
    record,
    alternate: async (measure) => {
      for (let round = 1; round <= rounds; round++)
        for (const side of round % 2 ? declared.sides : declared.sides.toReversed()) {
          const values = await measure(side, round);
          record(side, values);
          const words = Object.entries(values as Record<string, Value>).map(([key, value]) => `${key} ${value?.toFixed(2) ?? 'never'}`); // biome-ignore format: one chain
          console.log(`round ${round}/${rounds}  ${side}: ${words.join(', ')}`);
        }
    },
    median: (key, side) => figure(key, side)?.median ?? null,
    values: (key, side) => (all.get(key)?.get(side) ?? []).filter((value) => value !== null),
    finish: async ({ settings, programs, about, verdict, called = (side) => side }) => {
      const rows = measures.map(([key, { what, unit, group = '', better = 'less' }]) => ({
        what,
        unit,
        group,
        better,
        sides: Object.fromEntries(declared.sides.flatMap((side) => (all.get(key)?.has(side) ? [[called(side), figure(key, side)]] : []))), // biome-ignore format: one chain
      }));
      const machine = {
        guest: `Linux ${release()}, User Mode Linux, one CPU`,
        node: process.version,
        versions: await versionsOf(programs),
      };
      const at = new Date().toISOString();
      const measured = measuredSchema.parse({ name, at, settings, rounds, rows, about, verdict, machine });
      writeFileSync(file, `${JSON.stringify(measured, null, 2)}\n`);
      process.exitCode = verdict.every(({ met }) => met) ? 0 : 1;
    },
  };
}
