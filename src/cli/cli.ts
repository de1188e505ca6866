import { type Command, InvalidArgumentError } from 'commander';
import { readSettings } from '../settings.ts';
import { type Client, openClient } from './client.ts';
import { type Io, print, printJson } from './io.ts';
import { settingsSpec } from './settings.ts';
import type { Line } from './view/text.ts';
import { parseDuration } from './view/units.ts';

/** What a command works with. */
export interface Cli {
  io: Io;
  client: Client;
  /** For programs. */
  json: boolean;
  /** The answer for people, or as JSON for programs. */
  show(raw: unknown, lines: () => readonly Line[]): void;
  /** Lines beside the answer, on stderr. */
  note(...lines: Line[]): void;
}

/** A command's work; answers the exit code where it is not 0. */
export type Body<O> = (cli: Cli, args: readonly (string | undefined)[], options: O) => Promise<number | undefined>;

/** Makes commander's action of a command's work. */
export type Act = <O = object>(body: Body<O>) => (...args: unknown[]) => Promise<void>;

/** @param ended told the exit code */
export function createAct(io: Io, ended: (code: number) => void): Act {
  return (body) =>
    async (...given) => {
      const command = given.at(-1) as Command;
      const options = command.optsWithGlobals();
      const client = openClient(readSettings(settingsSpec(io.env), options, io.env), io.stop);
      const json = options.json === true;
      const show: Cli['show'] = (raw, lines) => (json ? printJson(io, raw, 2) : print(io, lines()));
      const note: Cli['note'] = (...lines) => print(io, lines, io.stderr);
      try {
        const args = command.processedArgs as (string | undefined)[];
        ended((await body({ io, client, json, show, note }, args, options as Parameters<typeof body>[2])) ?? 0);
      } finally {
        await client.close();
      }
    };
}

/** Reads "30s" into milliseconds. */
export function duration(max: number): (text: string) => number {
  return (text) => {
    const ms = parseDuration(text);
    if (ms === undefined) throw new InvalidArgumentError('Write it like 30s, 500ms or 2m.');
    if (ms > max) throw new InvalidArgumentError(`At most ${max / 1000}s.`);
    return ms;
  };
}

/** How long a write may wait for the director's kernel, and what it asks of the API for that. */
export interface WriteOptions {
  wait?: number;
  drain?: number;
}

export const withWait = (command: Command): Command =>
  command.option('--wait <seconds>', "wait until the director's kernel has it, at most 60s", duration(60_000));

export const withDrain = (command: Command): Command =>
  command.option(
    '--drain <time>',
    'how long those that leave keep their connections (default: 30s)',
    duration(86_400_000),
  );

export const writeCall = ({ wait, drain }: WriteOptions) => ({
  query: { waitMs: wait, drainMs: drain },
  timeoutMs: (wait ?? 0) + 15_000,
});
