// Runs every check of the project and counts: `npm test`, `npm test -- --long`. Ends with "N passed, N failed".
import { mkdirSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { execa } from 'execa';
import { runInGuest } from '../lab/uml.ts';

interface Count {
  passed: number;
  failed: number;
}

const root = join(import.meta.dirname, '../..');
const results = join(root, '.lab/test');
const long = process.argv.includes('--long');
const only = process.argv.slice(2).filter((word) => !word.startsWith('-'));

rmSync(results, { recursive: true, force: true });
mkdirSync(results, { recursive: true });

const files = readdirSync(join(root, 'test'), { recursive: true, encoding: 'utf8' })
  .map((file) => join('test', file))
  .filter((file) => file.endsWith('.test.ts'))
  .sort();
const onKernel = files.filter((file) => file.endsWith('.lab.test.ts') || (long && file.endsWith('.long.test.ts')));
const anywhere = files.filter((file) => !/\.(lab|long)\.test\.ts$/.test(file));
const chosen = (list: string[]) =>
  only.length === 0 ? list : list.filter((file) => only.some((word) => file.includes(word)));

const total: Count = { passed: 0, failed: 0 };
const add = (what: string, count: Count) => {
  total.passed += count.passed;
  total.failed += count.failed;
  console.log(`${count.failed === 0 ? 'ok' : 'FAILED'}  ${what}: ${count.passed} passed, ${count.failed} failed\n`);
};

if (only.length === 0) {
  for (const [what, argv] of [
    ['lint', ['biome', 'check', '--error-on-warnings', '.']],
    ['unused code (knip)', ['knip']],
    ['types', ['tsc', '-p', 'tsconfig.json']],
  ] as const)
    add(what, await check(argv));
}
if (chosen(anywhere).length > 0) add('unit and property tests', await tap('unit', chosen(anywhere), only.length === 0));
if (chosen(onKernel).length > 0)
  add('whole-system tests on a real kernel', await tap('kernel', chosen(onKernel), false, true));

console.log(`${total.passed} passed, ${total.failed} failed`);
process.exitCode = total.failed === 0 && total.passed > 0 ? 0 : 1;

async function check(argv: readonly string[]): Promise<Count> {
  const { exitCode } = await execa('npx', ['--no-install', ...argv], {
    cwd: root,
    stdio: ['ignore', 'inherit', 'inherit'],
    reject: false,
  });
  return exitCode === 0 ? { passed: 1, failed: 0 } : { passed: 0, failed: 1 };
}

/** Runs test files with tap, here or in a guest, and counts from the TAP that it wrote. */
async function tap(name: string, list: string[], coverage: boolean, guest = false): Promise<Count> {
  const output = join(results, `${name}.tap`);
  const argv = ['npx', '--no-install', 'tap', 'run', '--reporter=base', '--no-color', `--output-file=${output}`];
  argv.push(coverage ? '--show-full-coverage' : '--disable-coverage', ...list);
  const code = guest
    ? await runInGuest({
        argv,
        cwd: root,
        env: { DSR_LAB: '1', TAP_JOBS: '1' },
        share: [results, join(root, '.tap')],
        memory: '4G',
      })
    : (await execa(argv[0] ?? '', argv.slice(1), { cwd: root, stdio: ['ignore', 'inherit', 'inherit'], reject: false }))
        .exitCode;
  return countOf(output, code ?? 1);
}

/** tap's own closing line: `# { total: 12, pass: 11, fail: 1 }`. */
function countOf(output: string, code: number): Count {
  const line = /^# \{ total: \d+(.*) \}$/m.exec(readFileSync(output, 'utf8'))?.[1] ?? '';
  const number = (word: string) => Number(new RegExp(`${word}: (\\d+)`).exec(line)?.[1] ?? 0);
  const failed = number('fail') + number('todo');
  // A non-zero exit without a failed test is a failure too: missing coverage, a crash.
  return { passed: number('pass'), failed: failed === 0 && code !== 0 ? 1 : failed };
}
