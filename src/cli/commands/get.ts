import type { Command } from 'commander';
import { z } from 'zod';
import { CodedError } from '../../errors.ts';
import type { Act, Body, Cli } from '../cli.ts';
import { agentsSchema, poolsSchema } from '../view/answers.ts';
import { agentList, poolList, realServerList } from '../view/lists.ts';
import { visible } from '../view/text.ts';
import { treeLines } from '../view/tree.ts';

/** dsrctl get pools | real-servers | agents */
export function addGet(program: Command, act: Act): void {
  const get = program.command('get').description('show what is stored: pools, real servers; and agents');

  get
    .command('pools')
    .alias('pool')
    .description('all pools, or one in full')
    .argument('[pool]')
    .action(
      act(async (cli, [pool]) => {
        if (pool !== undefined) return showTree(cli, `v1/pools/${encodeURIComponent(pool)}`);
        const { raw, value } = await cli.client.call('GET', 'v1/pools', poolsSchema);
        cli.show(raw, () => poolList(value));
        return 0;
      }),
    );

  get
    .command('real-servers')
    .alias('real-server')
    .description('the real servers of all pools, of one (POOL), or one in full (POOL/NAME)')
    .argument('[pool/server]')
    .action(
      act(async (cli, [where]) => {
        if (where?.includes('/')) return showTree(cli, serverPath(where));
        const { raw, value } = await cli.client.call('GET', 'v1/pools', poolsSchema);
        const names = Object.keys(value.pools);
        if (where !== undefined && !Object.hasOwn(value.pools, where)) throw nothing('pool', where, names);
        const of = <T>(pools: Record<string, T>) =>
          Object.fromEntries(Object.entries(pools).filter(([name]) => (where ?? name) === name));
        const servers = Object.entries(of((raw as { pools: Record<string, { realServers: unknown }> }).pools));
        cli.show(Object.fromEntries(servers.map(([name, { realServers }]) => [name, realServers])), () =>
          realServerList(of(value.pools)),
        );
        return 0;
      }),
    );

  get
    .command('agents')
    .alias('agent')
    .description('all agents that have ever reported, or one in full')
    .argument('[agent]')
    .action(act(showAgents));
}

/** All agents, or the one of this name in full. */
export const showAgents: Body<object> = async ({ client, show }, [name]) => {
  const { raw, value, now } = await client.call('GET', 'v1/agents', agentsSchema);
  if (name === undefined) show(raw, () => agentList(value, now));
  else {
    const { agents } = raw as { agents: Record<string, unknown> };
    if (!Object.hasOwn(agents, name)) throw nothing('agent', name, Object.keys(agents));
    show(agents[name], () => treeLines(agents[name]));
  }
  return 0;
};

async function showTree({ client, show }: Cli, path: string): Promise<number> {
  const { raw } = await client.call('GET', path, z.unknown());
  show(raw, () => treeLines(raw));
  return 0;
}

/** Path of "web/rs1". Throws BAD_USAGE when it is not like that. */
export function serverPath(where: string): string {
  const [pool, name, ...rest] = where.split('/');
  if (!pool || !name || rest.length > 0)
    throw new CodedError(
      'BAD_USAGE',
      `"${visible(where)}" is no real server of a pool; write POOL/NAME, such as web/rs1`,
      2,
    );
  return `v1/pools/${encodeURIComponent(pool)}/real-servers/${encodeURIComponent(name)}`;
}

/** There is no such thing, but these. */
export function nothing(what: string, name: string, known: readonly string[]): CodedError {
  const list = known.length === 0 ? 'none' : known.slice(0, 20).map(visible).join(', ');
  return new CodedError('NOT_FOUND', `there is no ${what} "${visible(name)}"; there is ${list}`);
}
