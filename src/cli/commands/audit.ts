import { setTimeout as sleep } from 'node:timers/promises';
import { type Command, InvalidArgumentError } from 'commander';
import type { Act, Cli } from '../cli.ts';
import { Refusal } from '../client.ts';
import { print, printJson } from '../io.ts';
import { auditLine, auditTable, newIn } from '../view/access.ts';
import { type AuditEntry, auditSchema } from '../view/answers.ts';

const usual = 100;
/** What the controller keeps at hand. */
const most = 1000;
const everyMs = 1000;
/** Of which there is more than that, all is read. */
const few = 20;

function count(text: string): number {
  if (!/^\d{1,4}$/.test(text) || Number(text) > most) throw new InvalidArgumentError(`A number up to ${most}.`);
  return Number(text);
}

/** dsrctl audit */
export function addAudit(program: Command, act: Act): void {
  program
    .command('audit')
    .description('who changed what, and who was refused; with --json also what was before and after')
    .option('--last <count>', `this many, the newest last (default: ${usual}; with --follow 20)`, count)
    .option('--follow', 'and what comes, until Ctrl-C; with --json an entry a line')
    .action(
      act<{ last?: number; follow?: boolean }>(async (cli, _, { last, follow: goOn }) => {
        if (goOn) return follow(cli, last ?? few);
        const { raw, entries } = await read(cli, last ?? usual);
        cli.show(raw, () => auditTable(entries.map(({ entry }) => entry)));
        return 0;
      }),
    );
}

/** Entries as they are shown, and whole. */
async function read({ client }: Cli, last: number) {
  const { raw, value } = await client.call('GET', 'v1/audit', auditSchema, { query: { last } });
  const wholes = (raw as { entries: unknown[] }).entries;
  return { raw, entries: value.entries.map((entry, i): Entry => ({ entry, whole: wholes[i] })) };
}

interface Entry {
  entry: AuditEntry;
  whole: unknown;
}

/** Asks again and again, since a change that was made is on record before its answer goes out. */
async function follow(cli: Cli, last: number): Promise<number> {
  const { io, json, note } = cli;
  const tell = (entries: readonly Entry[]) => {
    if (json) for (const { whole } of entries) printJson(io, whole);
    else
      print(
        io,
        entries.map(({ entry }) => auditLine(entry)),
      );
  };
  let seen = (await read(cli, most)).entries;
  tell(last === 0 ? [] : seen.slice(-last));
  for (let away = false; ; ) {
    await sleep(everyMs, undefined, { signal: io.stop }).catch(() => {});
    if (io.stop.aborted) return 0;
    try {
      let fresh = newIn((await read(cli, few)).entries, seen);
      if (fresh.length === few) fresh = newIn((await read(cli, most)).entries, seen);
      if (away) note('the controller is back');
      away = false;
      tell(fresh);
      seen = [...seen, ...fresh].slice(-most);
    } catch (error) {
      if (io.stop.aborted) return 0;
      if (error instanceof Refusal) throw error;
      if (!away) note((error as Error).message);
      away = true;
    }
  }
}
