// Runs every check of the project and counts: `npm test`, `npm test -- --long`, `npm test -- PART-OF-A-FILE-NAME...`.
// Ends with the line "N passed, N failed", counted from what the test runner wrote.
import { mkdirSync, readdirSync, rmSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import { basename, join } from 'node:path';
import { execa } from 'execa';
import { runInGuest } from '../lab/uml.ts';
import { type Count, countOf, followTap } from './tap.ts';

const root = join(import.meta.dirname, '../..');
const results = join(root, '.lab/test');
const long = process.argv.includes('--long');
const only = process.argv.slice(2).filter((word) => !word.startsWith('-'));

rmSync(results, { recursive: true, force: true });
mkdirSync(results, { recursive: true });
mkdirSync(join(root, '.tap'), { recursive: true });

const files = readdirSync(join(root, 'test'), { recursive: true, encoding: 'utf8' })
  .map((file) => join('test', file))
  .filter((file) => file.endsWith('.test.ts'))
  .filter((file) => only.length === 0 || only.some((word) => file.includes(word)))
  .sort();
const onKernel = files.filter((file) => file.endsWith('.lab.test.ts') || (long && file.endsWith('.long.test.ts')));
const anywhere = files.filter((file) => !/\.(lab|long)\.test\.ts$/.test(file));

const total: Count = { passed: 0, failed: 0 };
const add = (what: string, count: Count) => {
  total.passed += count.passed;
  total.failed += count.failed;
  console.log(`${count.failed === 0 ? 'ok    ' : 'FAILED'} ${what}: ${count.passed} passed, ${count.failed} failed`);
};

if (only.length === 0)
  for (const [what, argv] of [
    ['lint', ['biome', 'check', '--error-on-warnings', '.']],
    ['nothing unused', ['knip']],
    ['types', ['tsc', '-p', 'tsconfig.json']],
    ['types of the dashboard', ['tsc', '-p', 'src/web']],
  ] as const)
    add(what, await check(argv));
if (anywhere.length > 0) add('unit and property tests', await tap('unit', anywhere));
// A guest for each file of the whole system and of the checks, and one for the other parts; as many beside each other as
// there are processors.
const wholeSystem = onKernel.filter((file) => /^test\/(lab|check)\//.test(file));
const parts = onKernel.filter((file) => !wholeSystem.includes(file));
// The parts take longest together: they begin first.
const jobs = [...(parts.length > 0 ? [parts] : []), ...wholeSystem.map((file) => [file])];
const counts = new Map<string[], Count>();
const worker = async () => {
  for (let job = jobs.shift(); job; job = jobs.shift()) counts.set(job, await tapInGuest(job));
};
await Promise.all(Array.from({ length: Math.min(4, availableParallelism()) }, worker));
const sum = (list: Count[]) => {
  const of = (what: keyof Count) => list.reduce((all, count) => all + count[what], 0);
  return { passed: of('passed'), failed: of('failed') };
};
const own = counts.get(parts);
if (own) add('parts on a real kernel', own);
counts.delete(parts);
if (wholeSystem.length > 0) add('whole system on a real kernel', sum([...counts.values()]));

console.log(`${total.passed} passed, ${total.failed} failed`);
process.exitCode = total.failed === 0 && total.passed > 0 ? 0 : 1;

async function check(argv: readonly string[]): Promise<Count> {
  const options = { cwd: root, stdio: ['ignore', 'inherit', 'inherit'], reject: false } as const;
  const { exitCode } = await execa('npx', ['--no-install', ...argv], options);
  return exitCode === 0 ? { passed: 1, failed: 0 } : { passed: 0, failed: 1 };
}

/** Runs test files with tap. With all of them, src/core must be covered wholly. */
async function tap(name: string, list: string[]): Promise<Count> {
  const output = join(results, `${name}.tap`);
  const argv = tapCommand(output, list, only.length === 0);
  const stop = followTap(output);
  const options = { cwd: root, stdio: ['ignore', 'inherit', 'inherit'], reject: false } as const;
  const { exitCode } = await execa(argv[0] ?? '', argv.slice(1), options);
  stop();
  return countOf(output, exitCode ?? 1);
}

async function tapInGuest(list: string[]): Promise<Count> {
  const output = join(results, `${basename(list[0] ?? '')}.tap`);
  const stop = followTap(output);
  const code = await runInGuest({
    argv: tapCommand(output, list, false),
    cwd: root,
    env: { DSR_LAB: '1', TAP_JOBS: '1', TAP_TIMEOUT: '600', ...(long && { LONG: '1' }) },
    share: [results],
    memory: '4G',
  });
  stop();
  return countOf(output, code);
}

function tapCommand(output: string, list: string[], coverage: boolean): string[] {
  const command = [join(root, 'node_modules/.bin/tap'), 'run', '--reporter=silent', `--output-file=${output}`];
  return [...command, ...(coverage ? ['--coverage-report=none'] : ['--disable-coverage']), ...list];
}
