import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import fc from 'fast-check';
import t from 'tap';
import { benchmarks, resultName } from '../infra/bench/benchmarks.ts';
import { weightIn } from '../infra/bench/ip-vs.ts';
import { digits, fewest, figureOf, meanAndChance, p99, type Value } from '../infra/bench/numbers.ts';
import {
  figuresOf,
  measuredSchema,
  type Result,
  resultSchema,
  table,
  tablesOf,
  withFigures,
} from '../infra/bench/result.ts';
import { randomOf } from '../infra/simulation/random.ts';
import { scenarios } from '../infra/simulation/scenarios.ts';
import { holds } from './property.ts';

const folder = join(import.meta.dirname, '../infra/bench');
const readme = readFileSync(join(folder, '../../README.md'), 'utf8');

const better = fc.constantFrom('less' as const, 'more' as const);
const value: fc.Arbitrary<Value> = fc.option(fc.double({ min: 0, max: 1e6, noNaN: true }), { freq: 4 });
const values = fc.array(value, { minLength: 1, maxLength: 12 });
const word = fc.stringMatching(/^[a-z|][a-z| ]{0,12}[a-z|]$/);
const result: fc.Arbitrary<Result> = fc.record({
  name: word,
  at: fc.date({ min: new Date('2000-01-01'), max: new Date('2100-01-01'), noInvalidDate: true }).map((date) => date.toISOString()), // biome-ignore format: short
  machine: fc.record({
    processor: word,
    cores: fc.integer({ min: 1, max: 64 }),
    kernel: word,
    load: fc.record({ start: fc.double({ min: 0, max: 99, noNaN: true }), end: fc.double({ min: 0, max: 99, noNaN: true }) }), // biome-ignore format: short
    guest: word,
    node: word,
    versions: fc.dictionary(word, word, { maxKeys: 3, noNullPrototype: true }),
  }),
  settings: fc.dictionary(word, fc.integer(), { maxKeys: 3, noNullPrototype: true }),
  rounds: fc.integer({ min: 1, max: 99 }),
  rows: fc.array(
    fc.record({
      what: word,
      unit: word,
      group: fc.constantFrom('', 'one', 'two'),
      better,
      sides: fc.dictionary(word, values.map((list) => figureOf(list)), { maxKeys: 4, noNullPrototype: true }), // biome-ignore format: short
    }),
    { minLength: 1, maxLength: 5 },
  ),
  about: word,
  verdict: fc.array(fc.record({ what: word, goal: word, measured: word, met: fc.boolean() }), { maxLength: 3 }),
});

holds(
  t,
  'as many values are faster than the median as are slower, and none is faster than the fastest or slower than the slowest',
  fc.property(values, better, (list, better) => {
    const never = better === 'less' ? Number.POSITIVE_INFINITY : Number.NEGATIVE_INFINITY;
    const number = (value: Value) => value ?? never;
    const { median, fastest, slowest, values } = figureOf(list, better);
    const faster = (a: Value, b: Value) => (better === 'less' ? number(a) < number(b) : number(a) > number(b));
    t.strictSame(values, list);
    t.ok(list.filter((one) => faster(one, median)).length <= list.length / 2);
    t.ok(list.filter((one) => faster(median, one)).length <= list.length / 2);
    t.ok(list.includes(fastest) && !list.some((one) => faster(one, fastest)));
    t.ok(list.includes(slowest) && !list.some((one) => faster(slowest, one)));
  }),
);

holds(
  t,
  'the 99th percentile is the least of the values that 99 of 100 do not exceed',
  fc.property(fc.array(fc.integer(), { minLength: 1, maxLength: 300 }), (list) => {
    const most = p99(list);
    const share = (limit: number) => list.filter((one) => one <= limit).length / list.length;
    t.ok(list.includes(most) && share(most) >= 0.99);
    t.ok(list.every((one) => one >= most || share(one) < 0.99));
  }),
);

holds(
  t,
  'a printed figure is at most half a percent off',
  fc.property(fc.double({ min: 1, max: 1e6, noNaN: true }), (value) => {
    t.ok(Math.abs(Number(digits(value)) / value - 1) <= 0.005, digits(value));
  }),
);

holds(
  t,
  'a result survives its JSON, and one that lacks a part is refused by name',
  fc.property(result, fc.nat(), (result, which) => {
    const written = JSON.parse(JSON.stringify(result));
    t.strictSame(resultSchema.parse(written), written);
    const keys = Object.keys(result);
    const missing = keys[which % keys.length] ?? '';
    const { [missing as keyof Result]: _, ...rest } = result;
    const { error } = resultSchema.safeParse(rest);
    t.strictSame(error?.issues[0]?.path, [missing]);
  }),
);

holds(
  t,
  'a table has a line each measure of its group and a column each side, and the Markdown the same cells',
  fc.property(result, (result) => {
    const tables = tablesOf(result);
    for (const group of new Set(result.rows.map(({ group }) => group))) {
      const rows = result.rows.filter((row) => row.group === group);
      const sides = new Set(rows.flatMap((row) => Object.keys(row.sides)));
      const cells = tables.find(([head]) => head?.[0]?.startsWith(group || 'median')) ?? [];
      t.equal(cells.length, 1 + rows.length);
      t.ok(cells.every((line) => line.length === 1 + sides.size));
    }
    const cellsIn = (line: string) =>
      line
        .slice(2, -2)
        .split(' | ')
        .map((cell) => cell.replaceAll('\\|', '|'));
    const parts = figuresOf(result)
      .split('\n\n')
      .filter((part) => /^\|.*\n\| ---/.test(part));
    const parsed = parts.map((part) => part.split('\n').map(cellsIn));
    t.strictSame(
      parsed.map((lines) => lines.toSpliced(1, 1)),
      tables,
    );
    t.ok(parsed.every(([, line]) => /^---(--:)*$/.test(line?.join('') ?? '')));
    const [cells = []] = tables;
    t.equal(
      new Set(
        table(cells.map(([first = '']) => [first, 'x']))
          .split('\n')
          .map((line) => line.length),
      ).size,
      1,
    );
  }),
);

t.test('a value that never came, a side without a value, and a goal that was missed are said so', async (t) => {
  const [sample] = fc.sample(result, 1) as [Result];
  const rows: Result['rows'] = [
    {
      what: 'out',
      unit: 'ms',
      group: '',
      better: 'less',
      sides: { ours: figureOf([3, 1, 2]), theirs: figureOf([null, null, 7]) },
    },
    { what: 'back', unit: 'ms', group: '', better: 'less', sides: { ours: figureOf([1234.4]) } },
  ];
  const verdict = [{ what: 'out', goal: 'within 1 ms', measured: '2 ms', met: false }];
  const text = figuresOf({ ...sample, rows, verdict });
  t.match(text, '| out, ms | 2.00 (1.00 to 3.00) | never (7.00 to never) |');
  t.match(text, '| back, ms | 1234 |  |');
  t.match(text, '**Not met**: out within 1 ms (2 ms).');
});

t.test('figures tell the commit that they were measured at, where it is known', async (t) => {
  const [sample] = fc.sample(result, 1) as [Result];
  const known = { ...sample, commit: 'f7c4718+' };
  t.equal(resultSchema.parse(known).commit, known.commit);
  t.match(figuresOf(known), `${sample.at.slice(0, 10)}, at commit f7c4718+.`);
  t.notMatch(figuresOf(sample), 'commit');
});

holds(
  t,
  'figures of a machine that had other work say so, and those of a quiet one do not',
  fc.property(result, (result) => {
    const { cores } = result.machine;
    const withLoad = (start: number, end: number) => figuresOf({ ...result, machine: { ...result.machine, load: { start, end } } }); // biome-ignore format: short
    t.match(withLoad(cores, 0), 'kept the machine busy');
    t.match(withLoad(0, 2 + cores), 'kept the machine busy');
    t.notMatch(withLoad(cores / 4, 1), 'kept the machine busy');
  }),
);

holds(
  t,
  'figures replace what is between their marks, and nothing else of the README',
  fc.property(fc.lorem(), fc.lorem(), fc.lorem(), fc.lorem(), (before, old, after, figures) => {
    const marked = (text: string) => `${before}<!-- api begin -->\n${text}\n<!-- api end -->${after}`;
    t.equal(withFigures(marked(old), 'api', figures), marked(figures));
    t.equal(withFigures(marked(figures), 'api', figures), marked(figures));
  }),
);

t.test('a README without the two marks, in this order and once each, is refused with the marks', async (t) => {
  const [begin, end] = ['<!-- api begin -->', '<!-- api end -->'];
  const wrong = ['', begin, end, `${end}${begin}`, `${begin}${end}${begin}${end}`, `${begin}${end}${end}`];
  for (const text of [...wrong, '<!-- url begin --><!-- url end -->'])
    t.throws(() => withFigures(text, 'api', 'x'), { message: new RegExp(`README.md needs .*${begin}.*${end}`) }, text);
});

t.test(
  'every benchmark has its program and its marks in the README, and nothing stands there but its kept result',
  async (t) => {
    const results = join(folder, 'results');
    const kept = existsSync(results) ? readdirSync(results).map((file) => file.replace('.json', '')) : [];
    const all = Object.entries(benchmarks).flatMap(([benchmark, { parts = [''] }]) =>
      parts.map((part) => ({ benchmark, name: resultName(benchmark, part) })),
    );
    t.strictSame(
      kept.filter((name) => !all.some((one) => one.name === name)),
      [],
      'results of no benchmark',
    );
    for (const { benchmark, name } of all) {
      t.match(readFileSync(join(folder, `${benchmark}.ts`), 'utf8'), 'finish(', name);
      if (!kept.includes(name)) {
        t.equal(withFigures(readme, name, ''), readme, `${name}: nobody has measured it`);
        continue;
      }
      const result = resultSchema.parse(JSON.parse(readFileSync(join(results, `${name}.json`), 'utf8')));
      t.equal(result.name, name);
      t.equal(withFigures(readme, name, figuresOf(result)), readme, `${name}: the script wrote it`);
    }
  },
);

t.test('flags are no options of every benchmark, and their parts are parts', async (t) => {
  for (const [name, { flags = {}, parts = [] }] of Object.entries(benchmarks)) {
    t.notOk(Object.keys(flags).some((flag) => ['--json', '--rounds', '--readme'].includes(flag)));
    for (const flag of Object.values(flags))
      t.ok(
        (flag.parts ?? []).every((part) => parts.includes(part)),
        name,
      );
  }
});

t.test('evenness has every scenario as a part', async (t) => {
  t.strictSame(benchmarks.evenness?.parts?.toSorted(), Object.keys(scenarios).sort());
});

holds(
  t,
  'what differs by chance is called so but for one case in a hundred, and what always differs is not',
  fc.property(fc.nat(), fc.integer({ min: fewest, max: 12 }), (seed, rounds) => {
    const random = randomOf(seed);
    const draws = () => Array.from({ length: rounds }, () => random.normal());
    const isMore = (values: readonly number[]) => meanAndChance(values).mean > meanAndChance(values).chance;
    const share = Array.from({ length: 1000 }, () => isMore(draws())).filter(Boolean).length / 1000;
    return share < 0.025 && isMore(draws().map((draw) => 20 + draw));
  }),
);

t.test('what the guest writes lacks the machine around it', async (t) => {
  const [sample] = fc.sample(result, 1) as [Result];
  const { guest, node, versions } = sample.machine;
  t.notOk(measuredSchema.safeParse(sample).success);
  t.ok(measuredSchema.safeParse({ ...sample, machine: { guest, node, versions } }).success);
});

holds(
  t,
  "a destination's weight is found in what the kernel lists, and only there",
  fc.property(
    fc.uniqueArray(fc.tuple(fc.ipV4(), fc.integer({ min: 1, max: 65535 })), {
      minLength: 1,
      maxLength: 6,
      selector: String,
    }),
    fc.uniqueArray(fc.ipV4(), { minLength: 1, maxLength: 6 }),
    fc.array(fc.integer({ min: 0, max: 65535 }), { minLength: 36, maxLength: 36 }),
    (services, realServers, weights) => {
      const hex = (ip: string, port: number) => {
        const parts = ip.split('.').map((part) => Number(part).toString(16).padStart(2, '0'));
        return `${parts.join('')}:${port.toString(16).padStart(4, '0')}`.toUpperCase();
      };
      const weight = (s: number, r: number) => weights[s * 6 + r] ?? 0;
      const entry = (s: number, port: number) => (ip: string, r: number) =>
        `  -> ${hex(ip, port)}      Route   ${weight(s, r)}      0          0         \n`;
      const lists = services.map(([vip, port], s) => `TCP  ${hex(vip, port)} wlc \n${realServers.map(entry(s, port)).join('')}`); // biome-ignore format: short
      const text = `IP Virtual Server version 1.2.1 (size=4096)\nProt LocalAddress:Port Scheduler Flags\n  -> RemoteAddress:Port Forward Weight ActiveConn InActConn\n${lists.join('')}`;
      for (const [s, [vip, port]] of services.entries())
        for (const [r, ip] of realServers.entries()) {
          t.equal(weightIn(text, vip, port, ip), weight(s, r));
          t.equal(weightIn(text.replaceAll(hex(ip, port), 'FFFFFFFF:FFFF'), vip, port, ip), undefined);
        }
    },
  ),
);
