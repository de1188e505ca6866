// npm run bench -- NAME [PART...] [--json FILE] [--rounds N] [--readme]
import { closeSync, existsSync, mkdirSync, openSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, join, resolve } from 'node:path';
import { Argument, Command, InvalidArgumentError, Option } from 'commander';
import { execa } from 'execa';
import { NotAllowed } from '../lab/uml.ts';
import { benchmarks } from './benchmarks.ts';
import { figuresOf, type Result, table, tablesOf, verdictOf, withFigures } from './result.ts';
import { commitOf, type Job, nameOf, root, run } from './run.ts';

interface Options {
  json?: string;
  rounds: number;
  readme?: true;
}

const readmeFile = join(root, 'README.md');
/** What the README's figures were made of. */
const kept = (name: string) => join(root, `infra/bench/results/${name}.json`);
const ending = new AbortController();
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(signal, () => ending.abort());

const program = new Command('npm run bench --')
  .description('Benchmarks, each beside its peers in the same guest, on a real kernel.')
  .exitOverride((error) => process.exit(error.exitCode === 0 ? 0 : 2))
  .allowExcessArguments()
  .action((_, { args: [word] }: Command) => {
    if (word) program.error(`error: there is no benchmark '${word}'; there are ${Object.keys(benchmarks).join(', ')}`);
    console.log(program.helpInformation());
  });
for (const [name, { what, takes, parts, flags = {} }] of Object.entries(benchmarks)) {
  const command = withOptions(program.command(name).description(`${what} (${takes})`));
  if (parts) command.addArgument(new Argument('[parts...]', 'which of its parts; default: all').choices(parts));
  for (const [flag, { means, without }] of Object.entries(flags))
    command.addOption(new Option(flag, means).conflicts(without));
  command.action(() => start(name, command));
}
withOptions(program.command('all').description('all of them in turn')).action((options: Options) =>
  runAll(
    Object.keys(benchmarks).flatMap((name) => jobsOf(name)),
    options,
    [],
  ),
);
await program.parseAsync().catch((error: Error) => {
  if (!ending.signal.aborted) console.error(error.message);
  process.exitCode = ending.signal.aborted ? 130 : error instanceof NotAllowed ? 3 : 1;
});

function withOptions(command: Command): Command {
  return command
    .allowExcessArguments(false)
    .option('--json <file>', 'write the results there too (several: as an array)', writable)
    .option('--rounds <n>', 'how often each side is measured, alternating', (text) => {
      if (!/^[1-9]\d?$/.test(text)) throw new InvalidArgumentError('1 to 99');
      return Number(text);
    }, 10) // biome-ignore format: short
    .option('--readme', 'write the table into the README, and keep its result in infra/bench/results');
}

/** Before the long wait, not after it. */
function writable(file: string): string {
  const isNew = !existsSync(file);
  try {
    closeSync(openSync(file, 'a'));
  } catch (error) {
    throw new InvalidArgumentError(`It cannot be written: ${(error as Error).message}`);
  }
  if (isNew) rmSync(file);
  return file;
}

async function start(benchmark: string, command: Command): Promise<void> {
  const options = command.opts<Options & Record<string, unknown>>();
  const given = Object.entries(benchmarks[benchmark]?.flags ?? {}).filter(([flag]) => options[flag.slice(2)]);
  const flags = given.map(([flag]) => flag);
  const named = [...new Set(command.args)];
  if (!flags.includes('--simulate')) {
    const parts = named.length > 0 ? named : given.find(([, { parts }]) => parts)?.[1].parts;
    return runAll(jobsOf(benchmark, parts), options, flags);
  }
  if (named.length > 0) command.error("error: '--simulate' runs all parts; none can be named");
  return simulate(options);
}

function jobsOf(benchmark: string, parts: readonly string[] = benchmarks[benchmark]?.parts ?? ['']): Job[] {
  return parts.map((part) => ({ benchmark, part }));
}

async function runAll(jobs: readonly Job[], { json, rounds, readme }: Options, flags: string[]): Promise<void> {
  // Before the long wait, not after it.
  if (readme) for (const job of jobs) withFigures(readFileSync(readmeFile, 'utf8'), nameOf(job), '');
  const commit = await commitOf();
  const results: Result[] = [];
  for (const job of jobs) {
    const name = nameOf(job);
    const result = { ...(await run(job, { rounds, flags, signal: ending.signal })), commit };
    results.push(result);
    console.log(`\n${tablesOf(result).map(table).join('\n\n')}\n\n${verdictOf(result)}\n`);
    const text = `${JSON.stringify(result, null, 2)}\n`;
    if (json) writeFileSync(resolve(json), jobs.length === 1 ? text : `${JSON.stringify(results, null, 2)}\n`);
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
  await execa(process.execPath, argv, { stdio: 'inherit', cancelSignal: ending.signal });
}
