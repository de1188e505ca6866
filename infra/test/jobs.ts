// What a run of the tests consists of: static checks, test files on this machine, and test files in a guest.
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { execa } from 'execa';
import { KernelTooOld, runInGuest } from '../lab/uml.ts';
import { type Count, countOf, failureLines, failuresOf, sum } from './tap.ts';

export interface Settings {
  root: string;
  /** The folder that takes what each test file writes. */
  results: string;
  /** Added to each test's environment. */
  env: Record<string, string>;
}

/** Upper limit of a test file, for one that hangs and whose own limit hangs with it. */
const limitSeconds = (env: Settings['env']) => (env.LONG ? 14_400 : 1800);
/** tap's limit of a file that sets none: generous, since a busy machine is no failure. */
const tapEnv = { TAP: '1', TAP_TIMEOUT: '300' };
const loader = (root: string) => ['--import', join(root, 'infra/test/typescript.js')];

export const checks = ({ root }: Settings) =>
  (
    [
      ['lint', ['biome', 'check', '--error-on-warnings', '.']],
      ['nothing unused', ['knip']],
      ['types', ['tsc', '-p', 'tsconfig.json']],
      ['types of the dashboard', ['tsc', '-p', 'src/web']],
    ] as const
  ).map(([group, argv]) => ({
    group,
    run: async (): Promise<Count> => {
      const { exitCode, all } = await execa('npx', ['--no-install', ...argv], { cwd: root, all: true, reject: false });
      console.log(exitCode === 0 ? `  ok ${group}` : `  FAILED ${group}\n${all}`);
      return exitCode === 0 ? { passed: 1, failed: 0 } : { passed: 0, failed: 1, failures: [group] };
    },
  }));

/** Runs a test file in a process of its own. */
export async function onThisMachine(settings: Settings, file: string): Promise<Count> {
  const { root, env } = settings;
  const began = performance.now();
  const output = outputOf(settings, file);
  const { exitCode } = await execa(process.execPath, [...loader(root), file], {
    cwd: root,
    env: { ...tapEnv, ...env },
    stdin: 'ignore',
    stdout: { file: `${output}.tap` },
    stderr: { file: `${output}.err` },
    reject: false,
    timeout: limitSeconds(env) * 1000,
    killSignal: 'SIGKILL',
  });
  return tell(settings, file, exitCode ?? 1, performance.now() - began);
}

/** Runs test files with tap, which fails when what they are for is not covered wholly: see test/coverage-map.js. */
export async function covered(settings: Settings, files: string[]): Promise<Count> {
  const { root, env } = settings;
  const began = performance.now();
  const output = outputOf(settings, 'covered');
  const argv = ['run', '--reporter=silent', `--output-file=${output}.tap`, '--coverage-report=text'];
  const { exitCode, all } = await execa(join(root, 'node_modules/.bin/tap'), [...argv, ...files], {
    cwd: root,
    env: { TAP_TIMEOUT: '300', TAP_JOBS: '1', ...env },
    all: true,
    reject: false,
  });
  if (exitCode !== 0) console.log(all);
  return tell(settings, 'covered', exitCode ?? 1, performance.now() - began);
}

/** Runs test files in one guest, one after the other, each in a process of its own. */
export async function inGuest(settings: Settings, files: string[]): Promise<Count> {
  const { root, results, env } = settings;
  const outputs = files.flatMap((file) => [file, outputOf(settings, file)]);
  const run = `timeout -k 10 ${limitSeconds(env)} ${[process.execPath, ...loader(root)].map((word) => `'${word}'`).join(' ')}`;
  const script = `
while [ $# -gt 0 ]; do
  began=$(date +%s%3N)
  ${run} "$1" >"$2.tap" 2>"$2.err"
  echo "$? $(($(date +%s%3N) - began))" >"$2.end"
  shift 2
done`;
  const firewall = files.some((file) => file.endsWith('firewall.lab.test.ts'));
  const ending = new AbortController();
  const timer = setTimeout(() => ending.abort(), (limitSeconds(env) * files.length + 600) * 1000);
  const guest = runInGuest({
    argv: ['sh', '-c', script, 'sh', ...outputs],
    cwd: root,
    env: { DSR_LAB: '1', ...tapEnv, ...env },
    share: [results],
    memory: '4G',
    firewall,
    signal: ending.signal,
  });
  const error = await guest.then(
    () => undefined,
    (why: Error) => why,
  );
  clearTimeout(timer);
  const began = files.some((file) => existsSync(`${outputOf(settings, file)}.tap`));
  if (firewall && !began && error instanceof KernelTooOld) {
    return { passed: 0, failed: 0, notRun: files.map((file) => `${file}: ${error.message}`) };
  }
  if (error) console.log(`  the guest of ${files.join(', ')}: ${error.message}`);
  return sum(
    files.map((file) => {
      const [code = '1', ms = '0'] = textOf(`${outputOf(settings, file)}.end`).split(' ');
      return tell(settings, file, Number(code), Number(ms));
    }),
  );
}

const outputOf = ({ results }: Settings, file: string) =>
  join(results, file.replace(/\.test\.ts$/, '').replaceAll('/', '-'));

const textOf = (path: string) => (existsSync(path) ? readFileSync(path, 'utf8') : '');

/** Prints how a test file ended, with what failed in it, and counts. */
function tell(settings: Settings, file: string, code: number, ms: number): Count {
  const output = outputOf(settings, file);
  const text = textOf(`${output}.tap`);
  const count = countOf(text, code);
  const seconds = `(${Math.ceil(ms / 1000)} s)`;
  if (count.failed === 0) console.log(`  ok ${file} ${seconds}`);
  else {
    const failures = failuresOf(text);
    const lines = failureLines(failures);
    count.failures = (lines.length > 0 ? lines : [`exit code ${code}`]).map((line) => `${file}: ${line}`);
    const lost = failures.length === 0 ? text.split('\n').slice(-20) : failures;
    const said = textOf(`${output}.err`).split('\n').slice(-40);
    console.log(
      `  FAILED ${file} ${seconds}, exit code ${code}\n${[...lost, ...said].map((line) => `    ${line}`).join('\n')}`,
    );
  }
  return count;
}
