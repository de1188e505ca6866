import { createInterface } from 'node:readline/promises';
import { type Command, Option } from 'commander';
import { CodedError } from '../../errors.ts';
import { type Act, type Cli, type WriteOptions, withDrain, withWait, writeCall } from '../cli.ts';
import { type Answer, type Client, Refusal } from '../client.ts';
import { type PoolsDocument, readPools, wholePools, writeText } from '../document.ts';
import { print } from '../io.ts';
import { type PoolsAnswer, planSchema, poolsSchema, type WriteAnswer, writeSchema } from '../view/answers.ts';
import { type Change, changesOf, deletionsIn, diffLines } from '../view/diff.ts';
import { jsonText, textOf } from '../view/text.ts';
import { treeLines } from '../view/tree.ts';
import { told } from './change.ts';

interface ApplyOptions extends WriteOptions {
  file: string;
  dryRun?: boolean;
  yes?: boolean;
}

const fileOption = () =>
  new Option('-f, --file <file>', 'pools as YAML or JSON; "-" is the standard input').makeOptionMandatory();

/** dsrctl apply, import, export and plan */
export function addDocuments(program: Command, act: Act): void {
  withDrain(withWait(program.command('apply')))
    .description('make the pools as in a file: all of them, so what the file lacks is deleted')
    .addOption(fileOption())
    .option('--dry-run', 'show the difference and have it checked, but change nothing')
    .option('--yes', 'delete without asking')
    .action(act<ApplyOptions>((cli, _, options) => replace(cli, options.file, options, false)));

  withDrain(withWait(program.command('import')))
    .description('restore all pools from a file that export wrote')
    .argument('<file>')
    .option('--dry-run', 'show the difference and have it checked, but change nothing')
    .option('--yes', 'do it without asking')
    .action(act<ApplyOptions>((cli, [file = ''], options) => replace(cli, file, options, true)));

  program
    .command('export')
    .description('write all pools to a file, or to the standard output; as YAML where the file is named so')
    .argument('[file]')
    .action(
      act(async ({ client, io, note }, [file]) => {
        const { raw } = await client.call('GET', 'v1/pools', poolsSchema);
        const json = `${jsonText(raw, 2)}\n`;
        if (file === undefined || file === '-') io.stdout.write(json);
        else {
          await writeText(file, /\.ya?ml$/.test(file) ? `${treeLines(raw).join('\n')}\n` : json);
          note(`written to ${file}`);
        }
        return 0;
      }),
    );

  program
    .command('plan')
    .description("what the director would do for a file's pools, as ipvsadm, ip and sysctl lines; changes nothing")
    .addOption(fileOption())
    .action(
      act<ApplyOptions>(async ({ client, io, show }, _, { file }) => {
        const body = await readPools(file, io);
        const { raw, value } = await client.call('POST', 'v1/plan', planSchema, { body });
        const hosts = [...new Set(value.steps.map(({ host }) => host))];
        show(raw, () =>
          hosts.length === 0
            ? ['nothing is to be done']
            : hosts.flatMap((host) => [
                { style: 'dim', text: `# ${host}` },
                ...value.steps.filter((step) => step.host === host).map(({ command }) => command),
              ]),
        );
        return 0;
      }),
    );
}

/** Shows how a file differs from what is stored, and stores it when nobody changed that in between. */
async function replace(cli: Cli, file: string, options: ApplyOptions, always: boolean): Promise<number> {
  const { client, io, json } = cli;
  const document = await readPools(file, io);
  const wanted = wholePools(document) ?? (await judged(client, document));
  const stored = await client.call('GET', 'v1/pools', poolsSchema);
  const changes = changesOf({ pools: poolsIn(stored) }, { pools: wanted });
  const diff = diffLines(changes);
  const tell = (answer: unknown) =>
    json && cli.show({ changed: changes.length > 0, diff: diff.map(textOf), answer }, () => []);
  if (!json) print(io, changes.length === 0 ? [`nothing differs from revision ${stored.value.revision}`] : diff);
  if (options.dryRun) await client.call('POST', 'v1/plan', planSchema, { body: document });
  if (options.dryRun || changes.length === 0) {
    tell(null);
    return 0;
  }
  if (!(await agreed(cli, changes, options, always))) {
    cli.note('nothing was changed');
    return 1;
  }
  const answer = await put(client, document, stored, options);
  tell(answer.raw);
  return told(json ? { show: () => {} } : cli, answer, options);
}

/** What this version cannot read, the controller judges: it refuses it in its own words, or knows more. */
async function judged(client: Client, document: PoolsDocument): Promise<Record<string, unknown>> {
  await client.call('POST', 'v1/plan', planSchema, { body: document });
  return document.pools;
}

function poolsIn({ raw }: { raw: unknown }): Record<string, unknown> {
  const document = raw as PoolsDocument;
  return wholePools(document) ?? document.pools;
}

async function agreed(
  { io, note }: Cli,
  changes: readonly Change[],
  options: ApplyOptions,
  always: boolean,
): Promise<boolean> {
  const gone = deletionsIn(changes);
  if (options.yes || (gone.length === 0 && !always)) return true;
  const what = gone.length > 0 ? `This deletes ${gone.join(', ')}.` : 'This changes the pools as shown.';
  if (!io.stdin.isTTY || options.file === '-')
    throw new CodedError('BAD_USAGE', `${what} There is no terminal to ask on: --yes says that it is wanted`, 2);
  note(what);
  const lines = createInterface({ input: io.stdin, output: io.stderr as NodeJS.WriteStream, terminal: false });
  // The end of the input is no answer either.
  const closed = new Promise<string>((resolve) => lines.once('close', () => resolve('')));
  const answer = await Promise.race([lines.question('Go on? [y/N] ', { signal: io.stop }), closed]);
  lines.close();
  return /^y(es)?$/i.test(answer.trim());
}

/** Stores the document over the very pools that were shown. Throws Refusal (412) when they are others by now. */
async function put(
  client: Client,
  document: PoolsDocument,
  shown: Answer<PoolsAnswer>,
  options: ApplyOptions,
): Promise<Answer<WriteAnswer>> {
  for (let { etag } = shown, tries = 0; ; tries++)
    try {
      const headers = { 'if-match': etag ?? `"${shown.value.revision}"` };
      return await client.call('PUT', 'v1/pools', writeSchema, { ...writeCall(options), body: document, headers });
    } catch (error) {
      if (!(error instanceof Refusal) || error.status !== 412) throw error;
      const now = await client.call('GET', 'v1/pools', poolsSchema);
      // A drain that ended counts as a revision too, and changes no pool.
      const others = changesOf(poolsIn(shown), poolsIn(now));
      if (others.length > 0 || tries >= 5)
        throw new CodedError(
          'REVISION_MISMATCH',
          `somebody changed the pools while you looked (now revision ${now.value.revision}): nothing was stored; see what they did, then do it again`,
        );
      etag = now.etag;
    }
}
