import { type Command, Option } from 'commander';
import { z } from 'zod';
import { sha256Of } from '../../trust/pin.ts';
import { type Act, duration } from '../cli.ts';
import type { Client } from '../client.ts';
import { tokenList, untilText } from '../view/access.ts';
import { madeSchema, tokensSchema } from '../view/answers.ts';

const longestMs = 3650 * 86_400_000;

/** dsrctl token and ca */
export function addTokens(program: Command, act: Act): void {
  const token = program.command('token').description('who may speak to the controller');

  token
    .command('create')
    .description('make a token for a person or a program; it is printed, and shown this once')
    .addOption(
      new Option('--role <role>', 'viewer: may read; admin: may do everything')
        .choices(['viewer', 'admin'])
        .makeOptionMandatory(),
    )
    .requiredOption('--name <what>', 'what it is for, such as prometheus')
    .option('--expires <time>', 'how long it is good, such as 90d (default: it does not end)', duration(longestMs))
    .action(
      act<{ role: string; name: string; expires?: number }>(async ({ client, io, json, show, note }, _, options) => {
        const { role, name, expires } = options;
        const body = { role, name, ...secondsOf(expires) };
        const { raw, value } = await client.call('POST', 'v1/tokens', madeSchema, { body });
        if (json) show(raw, () => []);
        else {
          io.stdout.write(`${value.token}\n`);
          const ca = await authority(client).catch(() => undefined);
          note(
            `token ${value.id} for "${name}" (${role}), good ${untilText(value.expires)}; it is shown this once`,
            ...(ca ? [`elsewhere: dsrctl login https://DIRECTOR:7100 --ca-sha256 ${ca.sha256} --token-file FILE`] : []),
          );
        }
        return 0;
      }),
    );

  token
    .command('list')
    .description('all tokens, without their secrets')
    .action(
      act(async ({ client, show }) => {
        const { raw, value } = await client.call('GET', 'v1/tokens', tokensSchema);
        show(raw, () => tokenList(value));
        return 0;
      }),
    );

  token
    .command('revoke')
    .description('make a token good for nothing, at once')
    .argument('<token>', 'its id, as in the list; or the whole token')
    .action(
      act(async ({ client, show }, [given = '']) => {
        // Of a whole token the secret stays here.
        const id = /^dsr_([0-9a-f]{16})_/.exec(given)?.[1] ?? given;
        const { raw } = await client.call('DELETE', `v1/tokens/${encodeURIComponent(id)}`, z.unknown());
        show(raw, () => [`${id} is revoked`]);
        return 0;
      }),
    );

  program
    .command('ca')
    .description("the certificate of the controller's authority as PEM, for --ca, curl and others")
    .action(
      act(async ({ client, io, json, show, note }) => {
        const { pem, sha256 } = await authority(client);
        if (json) show({ pem, sha256 }, () => []);
        else {
          io.stdout.write(pem);
          note(`SHA-256 ${sha256}`);
        }
        return 0;
      }),
    );
}

export const secondsOf = (ms: number | undefined) =>
  ms === undefined ? {} : { expiresInSeconds: Math.max(1, Math.round(ms / 1000)) };

async function authority(client: Client): Promise<{ pem: string; sha256: string }> {
  const text = await client.text('v1/ca');
  const pem = text.endsWith('\n') ? text : `${text}\n`;
  return { pem, sha256: sha256Of(pem) };
}
