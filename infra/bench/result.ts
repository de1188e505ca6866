// What a benchmark comes to: this is the shape of its JSON, and what it looks like as a table.
import { z } from 'zod';
import { digits, type Figure } from './numbers.ts';

const value = z.number().nullable();
const figure = z.strictObject({ median: value, fastest: value, slowest: value, values: z.array(value).min(1) });

/** What the guest writes. */
const measured = {
  name: z.string(),
  /** When it ended. */
  at: z.iso.datetime(),
  /** What it was run with: sizes, times, flags. */
  settings: z.record(z.string(), z.json()),
  rounds: z.int().min(1),
  /** A measure each, with a figure of every side that has it: of its values, one a round. null: it never came. */
  rows: z.array(
    z.strictObject({
      what: z.string(),
      unit: z.string(),
      /** Rows of one group make a table; most benchmarks have one group without a name. */
      group: z.string(),
      /** Which values are the faster ones. */
      better: z.enum(['less', 'more']),
      sides: z.record(z.string(), figure),
    }),
  ),
  /** How it was measured, in sentences. */
  about: z.string(),
  /** The goals, and whether they were met. */
  verdict: z.array(z.strictObject({ what: z.string(), goal: z.string(), measured: z.string(), met: z.boolean() })),
};
const guest = { guest: z.string(), node: z.string(), versions: z.record(z.string(), z.string()) };
const host = {
  processor: z.string(),
  cores: z.int().min(1),
  kernel: z.string(),
  /** Of the last minute, before and after. */
  load: z.strictObject({ start: z.number(), end: z.number() }),
};
export const measuredSchema = z.strictObject({ ...measured, machine: z.strictObject(guest) });
export const resultSchema = z.strictObject({
  ...measured,
  machine: z.strictObject({ ...host, ...guest }),
  /** Of the repository, with a '+' when files differed from it. Older results lack it. */
  commit: z.string().optional(),
});
export type Measured = z.infer<typeof measuredSchema>;
export type Result = z.infer<typeof resultSchema>;

/** A table each group: a line each measure, a column each side; in a cell the median and from the fastest to the slowest. */
export function tablesOf({ rows }: Pick<Result, 'rows'>): string[][][] {
  const groups = [...new Set(rows.map(({ group }) => group))];
  return groups.map((group) => cellsOf(rows.filter((row) => row.group === group)));
}

function cellsOf(rows: Result['rows']): string[][] {
  const sides = [...new Set(rows.flatMap((row) => Object.keys(row.sides)))];
  const head = [rows[0]?.group, 'median (fastest to slowest)'].filter(Boolean).join(': ');
  return [
    [head, ...sides],
    ...rows.map((row) => [`${row.what}, ${row.unit}`, ...sides.map((side) => cell(row.sides[side]))]),
  ];
}

function cell(figure: Figure | undefined): string {
  if (!figure) return '';
  const text = (value: number | null) => (value === null ? 'never' : digits(value));
  const { median, fastest, slowest, values } = figure;
  const spread = values.length > 1 && fastest !== slowest ? ` (${text(fastest)} to ${text(slowest)})` : '';
  return text(median) + spread;
}

/** The README's part: table, how it was measured, whether the goals were met, and the machine. */
export function figuresOf(result: Result): string {
  const { about, at, commit, machine, rounds } = result;
  const { processor, cores, kernel, load, guest, node, versions } = machine;
  const programs = Object.entries({ Node: node, ...versions }).map(([name, version]) => `${name} ${version}`);
  const facts = [
    `${rounds} round${rounds === 1 ? '' : 's'} in one guest (${guest})`,
    `on ${processor}, ${cores} cores, Linux ${kernel}`,
    `load average ${digits(load.start)} before and ${digits(load.end)} after${isBusy(machine) ? ', so **other work kept the machine busy**' : ''}`,
    programs.join(', '),
    `${at.slice(0, 10)}${commit === undefined ? '' : `, at commit ${commit}`}`,
  ];
  const [first = [], ...more] = tablesOf(result).map(markdown);
  const rest = more.length > 0 ? ['<details><summary>The other tables</summary>', ...more, '</details>'] : [];
  return [first, `${about} ${verdictOf(result)}`.trim(), `${facts.join('; ')}.`, ...rest].join('\n\n');
}

export function verdictOf({ verdict }: Pick<Result, 'verdict'>): string {
  return verdict.map(({ what, goal, measured, met }) => `${met ? 'Met' : '**Not met**'}: ${what} ${goal} (${measured}).`).join(' '); // biome-ignore format: one chain
}

/** The guest has one CPU: more than that at the end, or half a core at the start, was somebody else. */
function isBusy({ cores, load }: Pick<Result['machine'], 'cores' | 'load'>): boolean {
  return load.start > cores / 2 || load.end > 1 + cores / 2;
}

/** Columns padded to their widest cell; the first left, the others right. */
export function table(rows: readonly string[][]): string {
  const widths = rows[0]?.map((_, column) => Math.max(...rows.map((row) => row[column]?.length ?? 0))) ?? [];
  const pad = (cell: string, i: number) => (i === 0 ? cell.padEnd(widths[i] ?? 0) : cell.padStart(widths[i] ?? 0));
  return rows.map((row) => row.map(pad).join('   ').trimEnd()).join('\n');
}

function markdown(rows: readonly string[][]): string {
  const line = (cells: readonly string[]) => `| ${cells.map((cell) => cell.replaceAll('|', '\\|')).join(' | ')} |`;
  const [head = [], ...body] = rows;
  return [line(head), line(head.map((_, i) => (i === 0 ? '---' : '--:'))), ...body.map(line)].join('\n');
}

/** The README with a benchmark's figures between its two marks. */
export function withFigures(readme: string, name: string, figures: string): string {
  const [begin, end] = [`<!-- ${name} begin -->`, `<!-- ${name} end -->`];
  const [before = '', rest, ...more] = readme.split(begin);
  const [, after, ...others] = rest?.split(end) ?? [];
  if (after === undefined || more.length > 0 || others.length > 0)
    throw new Error(`README.md needs one line ${begin} and after it one line ${end}: the figures go between them`);
  return `${before}${begin}\n${figures && `${figures}\n`}${end}${after}`;
}
