// Outside of the guest: runs one benchmark in a guest of its own.
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { cpus, loadavg, release } from 'node:os';
import { join } from 'node:path';
import { execa } from 'execa';
import { runInGuest } from '../lab/uml.ts';
import { benchmarks } from './benchmarks.ts';
import { measuredSchema, type Result, resultSchema } from './result.ts';

export const root = join(import.meta.dirname, '../..');

/** @param signal ends the guest */
export async function run(
  name: string,
  { rounds, flags, signal }: { rounds: number; flags: readonly string[]; signal: AbortSignal },
): Promise<Result> {
  const [start, commit] = [loadavg()[0], await commitOf()];
  const also = benchmarks[name]?.packages?.map((debian) => `--also=${debian}`) ?? [];
  const setup = [join(root, 'infra/lab/setup.sh'), 'packages', 'build', ...also];
  await execa('bash', setup, { stdio: 'inherit', cancelSignal: signal });
  mkdirSync(join(root, '.lab'), { recursive: true });
  const share = mkdtempSync(join(root, '.lab/bench-'));
  try {
    const file = join(share, 'result.json');
    const argv = ['node', '--import', 'tsx', join(root, `infra/bench/${name}.ts`), file, String(rounds), ...flags];
    const code = await runInGuest({ argv, cwd: root, share: [share], memory: '4G', pinned: true, signal });
    if (!existsSync(file)) throw new Error(`${name} ended with ${code} and without a result`);
    const measured = measuredSchema.parse(JSON.parse(readFileSync(file, 'utf8')));
    const load = { start, end: loadavg()[0] };
    const host = { processor: cpus()[0]?.model.trim(), cores: cpus().length, kernel: release(), load };
    return resultSchema.parse({ ...measured, commit, machine: { ...host, ...measured.machine } });
  } finally {
    rmSync(share, { recursive: true, force: true });
  }
}

/** Undefined: this is no clone. */
async function commitOf(): Promise<string | undefined> {
  const git = (...words: string[]) => execa('git', words, { cwd: root, reject: false });
  const [{ stdout: commit }, { stdout: differs }] = [
    await git('rev-parse', '--short', 'HEAD'),
    await git('status', '--porcelain', '--', '.', ':!README.md', ':!infra/bench/results'),
  ];
  return commit === '' ? undefined : `${commit}${differs === '' ? '' : '+'}`;
}
