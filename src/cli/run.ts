import { Command, CommanderError } from 'commander';
import { CodedError } from '../errors.ts';
import { addSettings, version } from '../settings.ts';
import { createAct } from './cli.ts';
import { addAgents } from './commands/agent.ts';
import { addDocuments } from './commands/apply.ts';
import { addAudit } from './commands/audit.ts';
import { addCapacity } from './commands/capacity.ts';
import { addChanges } from './commands/change.ts';
import { addCompletion } from './commands/completion.ts';
import { addDoctor } from './commands/doctor.ts';
import { addDrain } from './commands/drain.ts';
import { addEvents } from './commands/events.ts';
import { addGet } from './commands/get.ts';
import { addLogin } from './commands/login.ts';
import { addStatus } from './commands/status.ts';
import { addTokens } from './commands/token.ts';
import { addUrl } from './commands/url.ts';
import { type Io, print } from './io.ts';
import { settingsSpec } from './settings.ts';

const interrupted = 130;

/** Runs dsrctl with these words after its name, and answers its exit code. */
export async function run(argv: readonly string[], io: Io): Promise<number> {
  let code = 0;
  const program = build(io, (ended) => {
    code = ended;
  });
  try {
    await program.parseAsync(argv, { from: 'user' });
    return code;
  } catch (error) {
    if (io.stop.aborted) return interrupted;
    return explain(error, io);
  }
}

function build(io: Io, ended: (code: number) => void): Command {
  const program = new Command('dsrctl')
    .description("The command line of dsr-controller's REST API.")
    .exitOverride()
    .configureOutput({ writeOut: (text) => void io.stdout.write(text), writeErr: () => {} })
    .version(version(), '--version', 'print the version')
    .option('--json', 'answer in JSON, for programs')
    .addHelpText(
      'after',
      '\nExit codes: 0 fine, 1 failure, 2 bad usage or setting, 3 missing privilege, as a token.\nNO_COLOR switches colours off.',
    );
  addSettings(program, settingsSpec(io.env));
  const act = createAct(io, ended);
  for (const add of [
    addStatus,
    addGet,
    addChanges,
    addDocuments,
    addDrain,
    addEvents,
    addDoctor,
    addUrl,
    addCapacity,
    addAgents,
    addTokens,
    addAudit,
    addLogin,
    addCompletion,
  ])
    add(program, act);
  return program;
}

/** Says why it did not work, and answers the exit code. */
function explain(error: unknown, io: Io): number {
  if (error instanceof CommanderError) {
    if (error.exitCode === 0) return 0;
    const words = error.message.replace(/^error: /, '').split('\n');
    const usage = error.code === 'commander.help' ? ['a command is missing'] : words;
    print(
      io,
      [...usage.map((line, i) => (i === 0 ? `dsrctl: ${line}` : line)), 'dsrctl --help lists what there is'],
      io.stderr,
    );
    return 2;
  }
  const known = error instanceof CodedError;
  const words = error instanceof Error ? (known ? error.message : (error.stack ?? error.message)) : String(error);
  print(io, `dsrctl: ${words}`.split('\n'), io.stderr);
  return known ? error.exitCode : 1;
}
