import { type Command, InvalidArgumentError } from 'commander';
import { CodedError } from '../../errors.ts';
import type { Act, Cli } from '../cli.ts';
import { detailSchema, statusSchema } from '../view/answers.ts';
import { capacityLines, capacityTable, planLines, planOf, type Wanted } from '../view/capacity.ts';
import { parseMbit } from '../view/units.ts';

interface Options {
  peak?: number;
  card?: number;
}

/** dsrctl capacity */
export function addCapacity(program: Command, act: Act): void {
  program
    .command('capacity')
    .description('how full the pools are and when they will be; with --peak what a load takes, here and behind a proxy')
    .argument('[pool]')
    .option('--peak <speed>', 'replies at the busiest time, such as 250mbit or 1.2gbit', speed)
    .option('--card <speed>', "of each new real server's card (default: as most of the pool's)", speed)
    .action(
      act<Options>(async (cli, [name], { peak, card }) => {
        if (peak === undefined && card !== undefined)
          throw new CodedError(
            'BAD_USAGE',
            '--card goes with --peak: dsrctl capacity --peak 250mbit --card 100mbit',
            2,
          );
        if (peak !== undefined) return plan(cli, name, peak, card);
        const { status, of, raw } = await ask(cli, name);
        cli.show(raw, () => (of ? capacityLines(of.name, of.capacity) : capacityTable(status.pools)));
        return 0;
      }),
    );
}

/** Of one pool that is named, or of none where a card is given; else of the only one. */
async function plan(cli: Cli, name: string | undefined, peakMbit: number, cardMbit: number | undefined) {
  const isFree = name === undefined && cardMbit !== undefined;
  const seen = isFree ? undefined : await ask(cli, name, 'one');
  const wanted: Wanted = { peakMbit, cardMbit, pool: seen?.of, requestShare: seen?.requestShare ?? null };
  const found = planOf(wanted);
  if (!found)
    throw new CodedError(
      'NO_CARD',
      `which card? The speed of none is known${name === undefined ? '' : ` in ${name}`}: say it with --card 100mbit`,
      2,
    );
  cli.show({ pool: wanted.pool?.name ?? null, ...found }, () => planLines(found, wanted));
  return 0;
}

async function ask({ client }: Cli, name: string | undefined, one?: 'one') {
  const { value: status } = await client.call('GET', 'v1/status', statusSchema);
  const names = Object.keys(status.pools);
  if (one && name === undefined && names.length > 1)
    throw new CodedError('BAD_USAGE', `of which pool? dsrctl capacity POOL --peak …: ${names.join(', ')}`, 2);
  const chosen = name ?? (one ? names[0] : undefined);
  const { repliesMbit = 0, requests = null } = status.traffic ?? {};
  const requestShare = requests && repliesMbit > 1 ? requests.requestsMbit / repliesMbit : null;
  if (chosen === undefined) return { status, raw: { pools: briefs(status.pools) }, of: undefined, requestShare };
  const detail = (await client.call('GET', 'v1/status', detailSchema, { query: { pool: chosen } })).value.pools[chosen];
  if (!detail?.capacity)
    throw new CodedError('NO_CAPACITY', `the controller ${client.base} does not tell it: it is older than this dsrctl`);
  const { capacity, balance } = detail;
  return {
    status,
    raw: { pools: { [chosen]: capacity } },
    of: { name: chosen, capacity, balance: balance ?? 'weights' },
    requestShare,
  };
}

const briefs = (pools: Record<string, { capacity?: unknown }>) =>
  Object.fromEntries(Object.entries(pools).map(([name, { capacity }]) => [name, capacity ?? null]));

function speed(text: string): number {
  const mbit = parseMbit(text);
  if (mbit === undefined) throw new InvalidArgumentError('Write it like 250mbit, 1gbit or 1.2gbit.');
  if (mbit < 0.001 || mbit > 1e6) throw new InvalidArgumentError('It is 1kbit to 1000gbit.');
  return mbit;
}
