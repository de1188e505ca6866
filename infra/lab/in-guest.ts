// Runs a command in a guest and exits with its code: node --import tsx infra/lab/in-guest.ts [options] -- COMMAND...
import { Command } from 'commander';
import { NotAllowed, runInGuest } from './uml.ts';

const program = new Command('in-guest')
  .description('Run COMMAND as root of a Linux kernel of its own, on a copy of this machine whose changes vanish.')
  .argument('<command...>')
  .option('--memory <size>', 'most that the guest may use', '2G')
  .option('--share <folder...>', 'folders of this machine that the guest may write', [])
  .option('--env <name...>', 'environment variables to pass on', [])
  .exitOverride((error) => process.exit(error.exitCode === 0 ? 0 : 2))
  .parse();
const options = program.opts<{ memory: string; share: string[]; env: string[] }>();
const ending = new AbortController();
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(signal, () => ending.abort());

const env = Object.fromEntries(options.env.flatMap((name) => [[name, process.env[name] ?? '']]));
process.exitCode = await runInGuest({ ...options, argv: program.args, env, signal: ending.signal }).catch((error) => {
  if (!ending.signal.aborted) console.error(error.message);
  return ending.signal.aborted ? 130 : error instanceof NotAllowed ? 3 : 1;
});
