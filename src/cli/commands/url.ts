import type { Command } from 'commander';
import type { Act } from '../cli.ts';
import { explainSchema, purgeSchema } from '../view/answers.ts';
import { explanationLines } from '../view/explain.ts';

/** dsrctl explain, purge */
export function addUrl(program: Command, act: Act): void {
  program
    .command('explain')
    .argument('<method>', 'such as GET; or the URL at once, which is a GET')
    .argument('[url]', 'such as http://example.com/a.jpg, or a path')
    .option('--pool <pool>', 'of this pool alone')
    .description('who would answer a request: by which rule and engine, which real servers, and why')
    .action(
      act<{ pool?: string }>(async ({ client, show }, [first, second], { pool }) => {
        const [method, url] = second === undefined ? ['GET', first] : [first, second];
        const { raw, value } = await client.call('POST', 'v1/explain', explainSchema, { body: { method, url, pool } });
        show(raw, () => value.answers.flatMap(explanationLines));
        return 0;
      }),
    );
  program
    .command('purge')
    .argument('<pool>', 'the pool')
    .argument('[path]', 'such as /img/a.jpg, or a folder as /img/; everything without it')
    .description("forgets what real servers keep of the director's images, so that it is fetched again")
    .action(
      act(async ({ client, show }, [pool = '', path]) => {
        const { raw, value } = await client.call('DELETE', `v1/pools/${encodeURIComponent(pool)}/cache`, purgeSchema, {
          query: { path, waitMs: 5000 },
          timeoutMs: 20_000,
        });
        show(raw, () => [
          `${value.purged} of ${pool} is fetched from the director again`,
          ...value.waiting.map((name) => `${name} has not said yet that it does`),
        ]);
        return value.waiting.length > 0 ? 1 : 0;
      }),
    );
}
