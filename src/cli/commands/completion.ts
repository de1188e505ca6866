import { Argument, type Command } from 'commander';
import { z } from 'zod';
import type { Act } from '../cli.ts';
import { poolsSchema, tokensSchema } from '../view/answers.ts';
import { completionScript, shells } from '../view/completion.ts';
import { treeOf } from './command-tree.ts';

const agentNames = z.object({ agents: z.record(z.string(), z.unknown()) });
const patienceMs = 1500;
const name = /^[a-z0-9-]+$/;

/** dsrctl completion, and what its scripts ask for names */
export function addCompletion(program: Command, act: Act): void {
  program
    .command('completion')
    .description('a script that completes commands and names; bash: source <(dsrctl completion bash)')
    .addArgument(new Argument('<shell>').choices(shells))
    .action(
      act(async ({ io }, [shell]) => {
        io.stdout.write(completionScript(shell as (typeof shells)[number], treeOf(program)));
        return 0;
      }),
    );

  program
    .command('__complete', { hidden: true })
    .argument('<kind>')
    .action(
      act(async ({ client, io }, [kind]) => {
        const namesOf = async (): Promise<string[]> => {
          if (kind === 'token')
            return (await client.call('GET', 'v1/tokens', tokensSchema, { timeoutMs: patienceMs })).value.tokens.map(
              ({ id }) => id,
            );
          if (kind === 'agent')
            return Object.keys(
              (await client.call('GET', 'v1/agents', agentNames, { timeoutMs: patienceMs })).value.agents,
            );
          const { pools } = (await client.call('GET', 'v1/pools', poolsSchema, { timeoutMs: patienceMs })).value;
          if (kind === 'pool') return Object.keys(pools);
          const servers = Object.entries(pools).map(
            ([pool, { realServers }]) => [pool, Object.keys(realServers)] as const,
          );
          if (kind === 'server') return servers.flatMap(([, names]) => names);
          return servers.flatMap(([pool, names]) => names.map((server) => `${pool}/${server}`));
        };
        // Who presses TAB is not to be told of failures.
        const names = await namesOf().catch(() => []);
        const safe = [...new Set(names)].filter((word) => word.split('/').every((part) => name.test(part)));
        io.stdout.write(safe.map((word) => `${word}\n`).join(''));
        return 0;
      }),
    );
}
