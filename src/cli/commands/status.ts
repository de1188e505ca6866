import { setTimeout as sleep } from 'node:timers/promises';
import type { Command } from 'commander';
import { type Act, type Cli, duration } from '../cli.ts';
import { Refusal } from '../client.ts';
import { openScreen, printJson } from '../io.ts';
import { look } from '../look.ts';
import { type Look, poolStatusLines, statusLines } from '../view/status.ts';
import { bold, dim, type Line, styled } from '../view/text.ts';
import { topLines } from '../view/top.ts';
import { durationText } from '../view/units.ts';

/** dsrctl status and top */
export function addStatus(program: Command, act: Act): void {
  program
    .command('status')
    .description('pools, real servers with their weights and why, traffic of all cards; in full with a pool')
    .argument('[pool]')
    .option('--watch', 'again and again, until Ctrl-C; with --json a document a line')
    .option('--interval <time>', 'time between two looks (default: 1s)', duration(3_600_000))
    .action(
      act<{ watch?: boolean; interval?: number }>(async (cli, [pool], { watch, interval }) => {
        const { base } = cli.client;
        const lines = (seen: Look) => (pool === undefined ? statusLines(base, seen) : poolStatusLines(base, seen));
        if (watch) return follow(cli, pool, lines, interval);
        const seen = await look(cli.client, pool);
        cli.show(seen.raw, () => lines(seen));
        return 0;
      }),
    );

  program
    .command('top')
    .description('cards and services, those with the most Mbit/s first, until Ctrl-C')
    .option('--interval <time>', 'time between two looks (default: 1s)', duration(3_600_000))
    .action(act<{ interval?: number }>((cli, _, { interval }) => follow(cli, undefined, topLines, interval)));
}

/** Beyond this what is on the screen is no longer what is. */
const patienceMs = 2000;
const leastIntervalMs = 100;

/**
 * Looks again and again and draws what it saw. While the controller does not answer, nothing that was seen is shown,
 * since nobody knows whether it is so: only when it was, and why not now.
 */
async function follow(
  { client, io, json }: Cli,
  pool: string | undefined,
  lines: (seen: Look) => readonly Line[],
  intervalMs = 1000,
) {
  // A first look that fails is a failure, and no screen is opened for it.
  let seen: Awaited<ReturnType<typeof look>> | undefined = await look(client, pool);
  let lastSeen = Date.now();
  const screen = json ? undefined : openScreen(io);
  try {
    for (let failure = ''; !io.stop.aborted; ) {
      if (json) printJson(io, seen ? seen.raw : { unreachable: failure, lastSeen: new Date(lastSeen).toISOString() });
      else screen?.draw(seen ? [dim(timeText(Date.now())), ...lines(seen)] : absence(client.base, failure, lastSeen));
      await sleep(Math.max(leastIntervalMs, intervalMs), undefined, { signal: io.stop }).catch(() => {});
      if (io.stop.aborted) break;
      try {
        seen = await look(client, pool, patienceMs);
        lastSeen = Date.now();
      } catch (error) {
        if (error instanceof Refusal && [401, 403, 404].includes(error.status)) throw error;
        seen = undefined;
        failure = (error as Error).message;
      }
    }
  } finally {
    screen?.close();
  }
  return 0;
}

const timeText = (ms: number) => `${new Date(ms).toISOString().slice(0, 19)}Z`;

const absence = (base: string, failure: string, lastSeen: number): Line[] => [
  [bold(base), '  ', styled('red', 'does not answer')],
  `last seen ${timeText(lastSeen)}, ${durationText(Date.now() - lastSeen)} ago`,
  ...failure.split('\n'),
];
