import type { Command } from 'commander';
import { CodedError } from '../../errors.ts';
import { type Act, type Cli, duration } from '../cli.ts';
import { poolsSchema, writeSchema } from '../view/answers.ts';
import { type Line, visible } from '../view/text.ts';
import { nothing, serverPath } from './get.ts';
import { type Outcome, watchDrains } from './watch-drains.ts';

interface DrainOptions {
  pool?: string;
  wait?: boolean;
  deadline?: number;
}

const usualDrainMs = 30_000;

/** dsrctl drain, maintenance and return */
export function addDrain(program: Command, act: Act): void {
  const verb = (name: string, description: string) =>
    program
      .command(name)
      .description(`${description}, in all pools that name it`)
      .argument('<server>')
      .option('--pool <pool>', 'in this pool alone');
  const leaving = (name: 'drain' | 'maintenance', description: string) =>
    verb(name, description)
      .option('--deadline <time>', 'cut the connections that are left then (default: 30s)', duration(86_400_000))
      .option('--wait', 'until no connection is left; 1 when the deadline cut some')
      .action(act<DrainOptions>((cli, [server = ''], options) => leave(cli, server, name, options)));
  leaving('drain', 'send a real server no new connections, and take it out when none is left');
  leaving('maintenance', 'the same as drain, and no checks and alarms either');
  verb('return', 'put a real server back into service').action(
    act<DrainOptions>(async (cli, [server = ''], { pool }) => {
      const pools = await poolsWith(cli, server, pool);
      for (const name of pools) await setState(cli, name, server, 'active', {});
      cli.show({ realServer: server, pools, state: 'active' }, () =>
        pools.map((name): Line => `${name}/${server}: active; it takes connections when its checks say that it is fit`),
      );
      return 0;
    }),
  );
}

async function leave(cli: Cli, server: string, state: 'drain' | 'maintenance', options: DrainOptions): Promise<number> {
  const { deadline: drainMs = usualDrainMs, wait } = options;
  const pools = await poolsWith(cli, server, options.pool);
  const watch = wait ? await watchDrains(cli, server, pools, drainMs) : undefined;
  for (const pool of pools) await setState(cli, pool, server, state, { drainMs });
  if (!watch) {
    cli.show({ realServer: server, pools, state }, () =>
      pools.map((pool): Line => `${pool}/${server}: ${state}; dsrctl status ${pool} shows how far it is`),
    );
    return 0;
  }
  const outcomes = await watch();
  cli.show({ realServer: server, state, outcomes }, () => outcomes.map((outcome) => outcomeLine(outcome, server)));
  return outcomes.every(({ cut, returned }) => cut === 0 && !returned) ? 0 : 1;
}

function outcomeLine({ pool, cut, returned }: Outcome, server: string): Line {
  const name = `${pool}/${server}`;
  if (returned) return `${name}: somebody set it to active again`;
  if (cut > 0) return `${name}: the deadline passed with ${cut} connection${cut === 1 ? '' : 's'} left; they were cut`;
  return `${name}: drained`;
}

/** The pools that name a real server. Throws NOT_FOUND when none does. */
async function poolsWith({ client }: Cli, server: string, only: string | undefined): Promise<string[]> {
  const { pools } = (await client.call('GET', 'v1/pools', poolsSchema)).value;
  if (only !== undefined && !Object.hasOwn(pools, only)) throw nothing('pool', only, Object.keys(pools));
  const candidates = Object.entries(pools).filter(([name]) => (only ?? name) === name);
  const naming = candidates.filter(([, { realServers }]) => Object.hasOwn(realServers, server)).map(([name]) => name);
  if (naming.length > 0) return naming;
  if (server.includes('/'))
    throw new CodedError(
      'BAD_USAGE',
      `"${visible(server)}": write the real server's name, and --pool for one pool alone`,
      2,
    );
  const known = new Set(candidates.flatMap(([, { realServers }]) => Object.keys(realServers)));
  throw nothing(only === undefined ? 'real server' : `real server in pool "${visible(only)}"`, server, [...known]);
}

const setState = ({ client }: Cli, pool: string, server: string, state: string, query: { drainMs?: number }) =>
  client.call('PATCH', serverPath(`${pool}/${server}`), writeSchema, { body: { state }, query });
