import type { Command } from 'commander';
import { z } from 'zod';
import { CodedError } from '../../errors.ts';
import { type Act, type Body, type Cli, type WriteOptions, withDrain, withWait, writeCall } from '../cli.ts';
import { Refusal } from '../client.ts';
import { type WriteAnswer, writeSchema } from '../view/answers.ts';
import { patchOf } from '../view/assignments.ts';
import { writeLines } from '../view/lists.ts';
import { visible } from '../view/text.ts';
import { serverPath } from './get.ts';

/** dsrctl set and delete */
export function addChanges(program: Command, act: Act): void {
  const set = program.command('set').description('change single settings: KEY=VALUE …, null takes one out');
  const words = 'such as weight=50 or check.path=/healthz; a value is JSON or text';
  withDrain(withWait(set.command('pool')))
    .description('change a pool')
    .argument('<pool>')
    .argument('<setting...>', words)
    .action(act(patch((pool) => `v1/pools/${encodeURIComponent(pool)}`)));
  withDrain(withWait(set.command('real-server')))
    .description('change a real server; with address=… it is made when there is none')
    .argument('<pool/server>')
    .argument('<setting...>', words)
    .action(act(patch(serverPath, 'address')));

  const remove = program
    .command('delete')
    .description('delete a pool, or drain and delete a real server; forget an agent');
  withWait(remove.command('pool'))
    .description('delete a pool; this cuts its traffic at once: drain its real servers first to be gentle')
    .argument('<pool>')
    .action(act(erase((pool) => `v1/pools/${encodeURIComponent(pool)}`)));
  withDrain(withWait(remove.command('real-server')))
    .description('drain a real server, then delete it')
    .argument('<pool/server>')
    .action(act(erase(serverPath)));
  remove
    .command('agent')
    .description('forget an agent, so that another machine may take its name')
    .argument('<agent>')
    .action(act(forgetAgent));
}

/** Takes an agent's name and token away. */
export const forgetAgent: Body<object> = async ({ client, show }, [name = '']) => {
  const { raw } = await client.call('DELETE', `v1/agents/${encodeURIComponent(name)}`, z.unknown());
  show(raw, () => [`${name} is forgotten`]);
  return 0;
};

/** @param makes the setting that makes what is not there yet */
function patch(pathOf: (name: string) => string, makes?: string): Body<WriteOptions> {
  return async (cli, [name = '', ...rest], options) => {
    const words = rest.flat() as string[];
    const read = patchOf(words);
    if ('wrong' in read)
      throw new CodedError(
        'BAD_USAGE',
        `"${visible(read.wrong)}" is no setting; write KEY=VALUE, such as weight=50`,
        2,
      );
    const path = pathOf(name);
    const call = { ...writeCall(options), body: read.patch };
    try {
      return told(cli, await cli.client.call('PATCH', path, writeSchema, call), options);
    } catch (error) {
      const absent = error instanceof Refusal && error.status === 404;
      if (!absent || makes === undefined || !Object.hasOwn(read.patch, makes)) throw error;
      return told(cli, await cli.client.call('PUT', path, writeSchema, call), options);
    }
  };
}

const erase =
  (pathOf: (name: string) => string): Body<WriteOptions> =>
  async (cli, [name = ''], options) =>
    told(cli, await cli.client.call('DELETE', pathOf(name), writeSchema, writeCall(options)), options);

/** Shows what a write came to; 1 when the kernel lacks it after the time that was given. */
export function told(
  { show }: Pick<Cli, 'show'>,
  { raw, value }: { raw: unknown; value: WriteAnswer },
  { wait }: WriteOptions,
): number {
  show(raw, () => writeLines(value, wait !== undefined));
  return wait !== undefined && !value.reconciled ? 1 : 0;
}
