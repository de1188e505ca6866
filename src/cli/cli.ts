import { type Command, InvalidArgumentError } from 'commander';
import { readSettings } from '../settings.ts';
import { type Client, connectMs, openClient } from './client.ts';
import { type Connection, connectionOf } from './connection.ts';
import { type Io, print, printJson } from './io.ts';
import { oneOf, type Settings, settingsSpec } from './settings.ts';
import type { Line } from './view/text.ts';
import { parseDuration } from './view/units.ts';

/** What a command works with. */
export interface Cli {
  io: Io;
  client: Client;
  connection: Connection;
  settings: Settings;
  /** For programs. */
  json: boolean;
  /** The answer for people, or as JSON for programs. */
  show(raw: unknown, lines: () => readonly Line[]): void;
  /** Lines beside the answer, on stderr. */
  note(...lines: Line[]): void;
}

/** A command's work; answers the exit code where it is not 0. */
export type Body<O> = (cli: Cli, args: readonly (string | undefined)[], options: O) => Promise<number | undefined>;

/**
 * Makes commander's action of a command's work. `anew`: its first argument is the controller, and what the config file
 * says of another one does not count.
 */
export type Act = <O = object>(body: Body<O>, anew?: 'anew') => (...args: unknown[]) => Promise<void>;

/** @param ended told the exit code */
export function createAct(io: Io, ended: (code: number) => void): Act {
  return (body, anew) =>
    async (...given) => {
      const command = given.at(-1) as Command;
      const options = command.optsWithGlobals();
      const args = command.processedArgs as (string | undefined)[];
      const settings = settingsOf(
        io.env,
        anew ? { ...options, controller: args[0], config: undefined } : options,
        anew,
      );
      const connection = connectionOf(settings, io, connectMs);
      const client = openClient(connection, io.stop);
      const json = options.json === true;
      const show: Cli['show'] = (raw, lines) => (json ? printJson(io, raw, 2) : print(io, lines()));
      const note: Cli['note'] = (...lines) => print(io, lines, io.stderr);
      try {
        ended(
          (await body(
            { io, client, connection, settings, json, show, note },
            args,
            options as Parameters<typeof body>[2],
          )) ?? 0,
        );
      } finally {
        await client.close();
      }
    };
}

function settingsOf(env: NodeJS.ProcessEnv, flags: Record<string, string | undefined>, anew?: 'anew'): Settings {
  const spec = settingsSpec(env);
  const read = readSettings(anew ? { ...spec, configFile: '' } : spec, flags, env);
  return oneOf(oneOf(read, ['token', 'tokenFile'], flags, env), ['ca', 'caSha256'], flags, env);
}

/** Reads "30s" into milliseconds. */
export function duration(max: number): (text: string) => number {
  return (text) => {
    const ms = parseDuration(text);
    if (ms === undefined) throw new InvalidArgumentError('Write it like 30s, 500ms, 2m, 1h or 90d.');
    if (ms > max)
      throw new InvalidArgumentError(`At most ${max > 2 * 86_400_000 ? `${max / 86_400_000}d` : `${max / 1000}s`}.`);
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
