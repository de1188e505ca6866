import type { Command } from 'commander';
import { type Act, duration } from '../cli.ts';
import { untilText } from '../view/access.ts';
import { invitationSchema } from '../view/answers.ts';
import { visible } from '../view/text.ts';
import { forgetAgent } from './change.ts';
import { showAgents } from './get.ts';
import { secondsOf } from './token.ts';

/** dsrctl agent */
export function addAgents(program: Command, act: Act): void {
  const agent = program.command('agent').description('the programs on the real servers: invite, list, forget');

  agent
    .command('invite')
    .description(
      'print the one line that lets the agent on a real server in: dsrctl agent invite rs1 | ssh root@rs1 sh',
    )
    .argument('<server>', 'name of the real server')
    .option('--expires <time>', 'how long it is good, at most 7d (default: 1h)', duration(7 * 86_400_000))
    .action(
      act<{ expires?: number }>(async ({ client, io, json, show, note }, [name = ''], { expires }) => {
        const body = { agent: name, ...secondsOf(expires) };
        const { raw, value } = await client.call('POST', 'v1/invitations', invitationSchema, { body });
        if (json) show(raw, () => []);
        else {
          io.stdout.write(`${visible(value.command)}\n`);
          note(
            `run it as root on ${value.agent}; it is good once, ${untilText(value.expires)}`,
            ...(value.urls.length > 1 ? [`the controller is also at ${value.urls.slice(1).join(', ')}`] : []),
          );
        }
        return 0;
      }),
    );

  agent
    .command('list')
    .description('all agents that have ever reported (the same as get agents)')
    .action(act(showAgents));

  agent
    .command('forget')
    .description("take an agent's token away, and let another machine have its name (the same as delete agent)")
    .argument('<agent>')
    .action(act(forgetAgent));
}
