// Outside of the guest: runs one benchmark in a guest of its own.
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { cpus, loadavg, release } from 'node:os';
import { join } from 'node:path';
import { execa } from 'execa';
import { runInGuest } from '../lab/uml.ts';
import { benchmarks, resultName } from './benchmarks.ts';
import { measuredSchema, type Result, resultSchema } from './result.ts';

export const root = join(import.meta.dirname, '../..');

export interface Job {
  benchmark: string;
  /** '' where it has none. */
  part: string;
}

export const nameOf = ({ benchmark, part }: Job): string => resultName(benchmark, part);

/** @param signal ends the guest */
export async function run(
  job: Job,
  { rounds, flags, signal }: { rounds: number; flags: readonly string[]; signal: AbortSignal },
): Promise<Result> {
  const start = loadavg()[0];
  const also = benchmarks[job.benchmark]?.packages?.map((debian) => `--also=${debian}`) ?? [];
  const setup = [join(root, 'infra/lab/setup.sh'), 'packages', 'build', ...also];
  await execa('bash', setup, { stdio: 'inherit', cancelSignal: signal });
  mkdirSync(join(root, '.lab'), { recursive: true });
  const share = mkdtempSync(join(root, '.lab/bench-'));
  try {
    const file = join(share, 'result.json');
    const program = join(root, `infra/bench/${job.benchmark}.ts`);
    const argv = ['node', '--import', 'tsx', program, file, String(rounds), job.part, ...flags].filter(Boolean);
    const code = await runInGuest({ argv, cwd: root, share: [share], memory: '4G', pinned: true, signal });
    if (!existsSync(file)) throw new Error(`${nameOf(job)} ended with ${code} and without a result`);
    const measured = measuredSchema.parse(JSON.parse(readFileSync(file, 'utf8')));
    const load = { start, end: loadavg()[0] };
    const host = { processor: cpus()[0]?.model.trim(), cores: cpus().length, kernel: release(), load };
    return resultSchema.parse({ ...measured, machine: { ...host, ...measured.machine } });
  } finally {
    rmSync(share, { recursive: true, force: true });
  }
}

/** With a '+' when other files differ from it than those that --readme writes; undefined: this is no clone. */
export async function commitOf(): Promise<string | undefined> {
  const git = (...words: string[]) => execa('git', words, { cwd: root, reject: false });
  const [{ stdout: commit }, { stdout: differs }] = [
    await git('rev-parse', '--short', 'HEAD'),
    await git('status', '--porcelain', '--', '.', ':!README.md', ':!infra/bench/results'),
  ];
  return commit === '' ? undefined : `${commit}${differs === '' ? '' : '+'}`;
}
