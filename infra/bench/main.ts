// npm run bench -- NAME [--json FILE] [--rounds N] [--readme]
import { copyFileSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { Command, InvalidArgumentError } from 'commander';
import { runInGuest } from '../lab/uml.ts';

const root = join(import.meta.dirname, '../..');
const benchmarks: Record<string, string> = {
  programming:
    '1,000 services x 10 destinations from empty: the controller beside ipvsadm -R; resident memory of both programs',
  failover:
    'how long a real server that fails still gets new connections: the controller beside keepalived and ldirectord',
  evenness: 'how evenly the cards of four real servers are filled: every stock scheduler and the weights by headroom',
  checks: 'thousands of checks a second: how long a read of the status takes beside them',
};

const program = new Command('npm run bench --')
  .description('Benchmarks, each beside its peer in the same run on a real kernel.')
  .argument('<name>', Object.entries(benchmarks).map(([name, what]) => `${name}: ${what}`).join('\n')) // biome-ignore format: short
  .option('--json <file>', 'write the results there too')
  .option('--rounds <n>', 'how often each side runs, alternating', (text) => {
    if (!/^[1-9]\d?$/.test(text)) throw new InvalidArgumentError('1 to 99');
    return Number(text);
  }, 10) // biome-ignore format: short
  .option('--quick', 'evenness: two scenarios, four schedulers, one load: 5 minutes')
  .option('--readme', 'write the table into the README')
  .exitOverride((error) => process.exit(error.exitCode === 0 ? 0 : 2))
  .parse();

const [name = ''] = program.args;
const { json, rounds, quick, readme } = program.opts<{
  json?: string;
  rounds: number;
  quick?: true;
  readme?: true;
}>();
if (!Object.hasOwn(benchmarks, name)) {
  console.error(`there is no benchmark "${name}"; there is ${Object.keys(benchmarks).join(', ')}`);
  process.exit(2);
}
mkdirSync(join(root, '.lab'), { recursive: true });
const share = mkdtempSync(join(root, '.lab/bench-'));
try {
  const result = join(share, 'result.json');
  const argv = ['node', '--import', 'tsx', join(root, `infra/bench/${name}.ts`), result, String(rounds)];
  if (quick) argv.push('--quick');
  process.exitCode = await runInGuest({ argv, cwd: root, share: [share], memory: '4G' });
  if (json && process.exitCode === 0) copyFileSync(result, resolve(json));
  if (readme && process.exitCode === 0) writeFigures(join(share, 'result.md'));
} finally {
  rmSync(share, { recursive: true, force: true });
}

/** Puts the table between the README's two marks of this benchmark. */
function writeFigures(file: string): void {
  const path = join(root, 'README.md');
  const [before, rest] = readFileSync(path, 'utf8').split(`<!-- ${name} begin -->`);
  const [, after] = rest?.split(`<!-- ${name} end -->`) ?? [];
  if (after === undefined) throw new Error(`README.md has no place for ${name}`);
  const figures = readFileSync(file, 'utf8').trim();
  writeFileSync(path, `${before}<!-- ${name} begin -->\n${figures}\n<!-- ${name} end -->${after}`);
}
