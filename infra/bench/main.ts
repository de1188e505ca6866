// npm run bench -- NAME [--json FILE] [--rounds N] [--readme]
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { cpus, loadavg, release } from 'node:os';
import { dirname, join, resolve } from 'node:path';
import { Command, InvalidArgumentError } from 'commander';
import { execa } from 'execa';
import { NotAllowed, runInGuest } from '../lab/uml.ts';
import { benchmarks } from './benchmarks.ts';
import {
  figuresOf,
  measuredSchema,
  type Result,
  resultSchema,
  table,
  tablesOf,
  verdictOf,
  withFigures,
} from './result.ts';

interface Options {
  json?: string;
  rounds: number;
  readme?: true;
}

const root = join(import.meta.dirname, '../..');
const readmeFile = join(root, 'README.md');
/** What the README's figures were made of. */
const kept = (name: string) => join(root, `infra/bench/results/${name}.json`);

const program = new Command('npm run bench --')
  .description('Benchmarks, each beside its peers in the same guest, on a real kernel.')
  .exitOverride((error) => process.exit(error.exitCode === 0 ? 0 : 2))
  .allowExcessArguments()
  .action((_, { args: [word] }: Command) => {
    if (word) program.error(`error: there is no benchmark '${word}'; there are ${Object.keys(benchmarks).join(', ')}`);
    console.log(program.helpInformation());
  });
for (const [name, { what, takes, flags = {} }] of Object.entries(benchmarks)) {
  const command = withOptions(program.command(name).description(`${what} (${takes})`));
  for (const [flag, means] of Object.entries(flags)) command.option(flag, means);
  const given = () => Object.keys(flags).filter((flag) => process.argv.includes(flag));
  command.action((options: Options) =>
    given().includes('--simulate') ? simulate(options) : runAll([name], options, given()),
  );
}
withOptions(program.command('all').description('all of them in turn')).action((options: Options) =>
  runAll(Object.keys(benchmarks), options, []),
);
await program.parseAsync().catch((error: Error) => {
  console.error(error.message);
  process.exitCode = error instanceof NotAllowed ? 3 : 1;
});

function withOptions(command: Command): Command {
  return command
    .option('--json <file>', 'write the results there too (all: as an array)')
    .option('--rounds <n>', 'how often each side is measured, alternating', (text) => {
      if (!/^[1-9]\d?$/.test(text)) throw new InvalidArgumentError('1 to 99');
      return Number(text);
    }, 10) // biome-ignore format: short
    .option('--readme', 'write the table into the README, and keep its result in infra/bench/results');
}

async function runAll(names: readonly string[], { json, rounds, readme }: Options, flags: string[]): Promise<void> {
  // Before the long wait, not after it.
  if (readme) for (const name of names) withFigures(readFileSync(readmeFile, 'utf8'), name, '');
  const results: Result[] = [];
  for (const name of names) {
    const result = await run(name, rounds, flags);
    results.push(result);
    console.log(`\n${tablesOf(result).map(table).join('\n\n')}\n\n${verdictOf(result)}\n`);
    const text = `${JSON.stringify(result, null, 2)}\n`;
    if (json) writeFileSync(resolve(json), names.length === 1 ? text : `${JSON.stringify(results, null, 2)}\n`);
    if (!readme) continue;
    mkdirSync(dirname(kept(name)), { recursive: true });
    writeFileSync(kept(name), text);
    writeFileSync(readmeFile, withFigures(readFileSync(readmeFile, 'utf8'), name, figuresOf(result)));
  }
  if (results.some(({ verdict }) => verdict.some(({ met }) => !met))) process.exitCode = 1;
}

/** Needs neither a guest nor a kernel. */
async function simulate({ json }: Options): Promise<void> {
  const argv = ['--import', 'tsx', join(root, 'infra/bench/simulate.ts'), ...(json ? [resolve(json)] : [])];
  await execa(process.execPath, argv, { stdio: 'inherit' });
}

async function run(name: string, rounds: number, flags: readonly string[]): Promise<Result> {
  const start = loadavg()[0];
  const also = benchmarks[name]?.packages?.map((debian) => `--also=${debian}`) ?? [];
  await execa('bash', [join(root, 'infra/lab/setup.sh'), 'packages', 'build', ...also], { stdio: 'inherit' });
  mkdirSync(join(root, '.lab'), { recursive: true });
  const share = mkdtempSync(join(root, '.lab/bench-'));
  try {
    const file = join(share, 'result.json');
    const argv = ['node', '--import', 'tsx', join(root, `infra/bench/${name}.ts`), file, String(rounds), ...flags];
    const code = await runInGuest({ argv, cwd: root, share: [share], memory: '4G', pinned: true });
    if (!existsSync(file)) throw new Error(`${name} ended with ${code} and without a result`);
    const measured = measuredSchema.parse(JSON.parse(readFileSync(file, 'utf8')));
    const load = { start, end: loadavg()[0] };
    const host = { processor: cpus()[0]?.model.trim(), cores: cpus().length, kernel: release(), load };
    return resultSchema.parse({ ...measured, machine: { ...host, ...measured.machine } });
  } finally {
    rmSync(share, { recursive: true, force: true });
  }
}
