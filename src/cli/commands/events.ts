import { setTimeout as sleep } from 'node:timers/promises';
import { type Command, InvalidArgumentError } from 'commander';
import { z } from 'zod';
import { eventSchema } from '../../schema.ts';
import type { Act, Cli } from '../cli.ts';
import { Refusal } from '../client.ts';
import { print, printJson } from '../io.ts';
import { eventLine } from '../view/lists.ts';
import { eventReader } from '../view/sse.ts';

const listSchema = z.object({ events: z.array(eventSchema) });

function eventId(text: string): number {
  if (!/^\d{1,16}$/.test(text)) throw new InvalidArgumentError('An event id is a whole number, as --json shows it.');
  return Number(text);
}

/** dsrctl events */
export function addEvents(program: Command, act: Act): void {
  program
    .command('events')
    .description('what happened')
    .option('--follow', 'and what happens, until Ctrl-C; with --json an event a line')
    .option('--after <id>', 'only what came after the event with this id', eventId)
    .action(
      act<{ follow?: boolean; after?: number }>(async (cli, _, { follow: goOn, after }) => {
        if (goOn) return follow(cli, after);
        const { raw, value } = await cli.client.call('GET', 'v1/events', listSchema, { query: { after } });
        cli.show(raw, () => value.events.map(eventLine));
        return 0;
      }),
    );
}

/** The controller says something every 15 s, if only that it is there. */
const silenceMs = 40_000;
const retryMs = 1000;

/** Tells events as they happen; where the connection ends, it goes on after the last one that was told. */
async function follow({ client, io, json, note }: Cli, after: number | undefined): Promise<number> {
  let last = after === undefined ? undefined : String(after);
  let lost = false;
  for (let first = true; !io.stop.aborted; first = false) {
    try {
      const headers = last === undefined ? {} : { 'last-event-id': last };
      const stream = await client.stream('v1/events', { headers, timeoutMs: silenceMs });
      if (lost) note('the controller is back');
      lost = false;
      const read = eventReader();
      stream.setEncoding('utf8');
      for await (const text of stream)
        for (const { id, data } of read(String(text))) {
          last = id ?? last;
          const event = eventSchema.safeParse(JSON.parse(data));
          if (!event.success) continue;
          if (json) printJson(io, event.data);
          else print(io, [eventLine(event.data)]);
        }
    } catch (error) {
      if (io.stop.aborted) break;
      if (first || error instanceof Refusal) throw error;
    }
    if (io.stop.aborted) break;
    if (!lost) note('the connection to the controller ended: trying again');
    lost = true;
    await sleep(retryMs, undefined, { signal: io.stop }).catch(() => {});
  }
  return 0;
}
