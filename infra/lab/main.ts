// npm run lab: its command line.
import { Command, InvalidArgumentError } from 'commander';
import { type LabFlags, runLab } from './lab.ts';
import { NotAllowed } from './uml.ts';
import { down, shell } from './up.ts';

const program = new Command('npm run lab --')
  .description(
    'Shows Direct Server Return on a real Linux kernel: hosts, web servers, real traffic, and HAProxy to compare with.\n' +
      'Then stays up for you to look around. Needs no root, and writes nothing outside of its own work folder.',
  )
  .enablePositionalOptions()
  .exitOverride((error) => process.exit(error.exitCode === 0 ? 0 : 2))
  .option('--check', 'end after the measurement: exit code 0 when every goal is met, 1 otherwise', false)
  .option('--real-servers <n>', 'how many real servers', whole(1, 40), 3)
  .option('--mbit <m>', 'speed of each network card on the LAN, in Mbit/s', whole(1, 10_000), 100)
  .option('--seconds <s>', 'how long the traffic runs, each way', whole(2, 3600), 10)
  .option(
    '--port <p>',
    'port of 127.0.0.1 for the API while the lab stays up (default: 7100, or a free one)',
    whole(1, 65_535),
  )
  .option('--native', "use this machine's own kernel, which needs root and ip_vs, instead of User Mode Linux", false)
  .option('--json <file>', 'write the measurement there too')
  .allowExcessArguments()
  .action((flags: LabFlags, { args: [word] }: Command) => {
    if (word) program.error(`error: there is no command '${word}'; there are shell and down`);
    return exitWith(runLab(flags));
  });

program
  .command('shell')
  .description('open a shell in a host of the lab that is up: client, router, director, rs1, rs2, ...')
  .argument('<host>')
  .argument('[command...]', 'run this there instead')
  .passThroughOptions()
  .action((host: string, command: string[]) => exitWith(shell(host, command)));

program
  .command('down')
  .description('end the lab that is up')
  .action(() => exitWith(down()));

await program.parseAsync();

async function exitWith(code: Promise<number>): Promise<void> {
  process.exitCode = await code.catch((error: Error) => {
    console.error(error.message);
    return error instanceof NotAllowed ? 3 : 1;
  });
}

function whole(min: number, max: number): (text: string) => number {
  return (text) => {
    const value = Number(text);
    if (Number.isInteger(value) && value >= min && value <= max) return value;
    throw new InvalidArgumentError(`It is a whole number from ${min} to ${max}.`);
  };
}
