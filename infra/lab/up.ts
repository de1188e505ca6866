// What is known, from other terminals, of the lab that stays up in this clone: opens shells in it and ends it.

import { existsSync } from 'node:fs';
import { mkdir, readFile, rm, rmdir, writeFile } from 'node:fs/promises';
import { connect, type Socket } from 'node:net';
import { dirname, join } from 'node:path';
import { createInterface } from 'node:readline';
import { execa } from 'execa';
import type { Hear, Say } from './consoles.ts';
import { waitFor } from './wait.ts';

export interface Up {
  /** Where its consoles are served. */
  socket: string;
  /** How to enter each host, from inside the guest. */
  enter: Record<string, string[]>;
  /** With --native: what puts a command of this machine inside. */
  native: string[] | undefined;
}

const file = join(import.meta.dirname, '../../.lab/up.json');

export async function writeUp(up: Up): Promise<void> {
  await mkdir(dirname(file), { recursive: true });
  await writeFile(file, JSON.stringify(up));
}

export async function removeUp(): Promise<void> {
  await rm(file, { force: true });
  await rmdir(dirname(file)).catch(() => {}); // there may be more in it
}

/** undefined: none is up. What a killed one left is removed. */
export async function findUp(): Promise<(Up & { connection: Socket }) | undefined> {
  const up = await readFile(file, 'utf8').then(
    (text) => JSON.parse(text) as Up,
    () => undefined,
  );
  if (!up) return undefined;
  const connection = connect(up.socket);
  const connected = await new Promise<boolean>((resolve) => {
    connection.on('connect', () => resolve(true));
    connection.on('error', () => resolve(false));
  });
  if (connected) return { ...up, connection };
  await removeUp();
  return undefined;
}

/** Ends the lab that is up, and waits for its end. */
export async function down(): Promise<number> {
  const up = await findUp();
  if (!up) {
    console.log('No lab is up here.');
    return 0;
  }
  say(up.connection, { down: true });
  await new Promise((resolve) => up.connection.on('close', resolve).resume());
  await waitFor(() => !existsSync(file), { what: 'the lab to end' });
  console.log('The lab has ended; nothing of it is left.');
  return 0;
}

/** Runs a shell, or a command, in a host of the lab that is up, on this terminal; gives its exit code. */
export async function shell(host: string, argv: string[]): Promise<number> {
  const up = await findUp();
  if (!up) throw new Error('No lab is up here; npm run lab starts one.');
  const enter = up.enter[host];
  if (!enter) {
    up.connection.destroy();
    throw new Error(`There is no host "${host}"; there are ${Object.keys(up.enter).join(', ')}.`);
  }
  const command = argv.length > 0 ? argv : ['env', `PS1=${host}# `, 'bash', '--norc', '-i'];
  if (!up.native) return interact(up.connection, [...enter, ...command].map(quote).join(' '));
  up.connection.destroy();
  const [program = '', ...rest] = [...up.native, ...enter, ...command];
  return (await execa(program, rest, { stdio: 'inherit', reject: false })).exitCode ?? 1;
}

async function interact(connection: Socket, command: string): Promise<number> {
  const { stdin, stdout } = process;
  const size = (): { rows: number; columns: number } => ({ rows: stdout.rows ?? 24, columns: stdout.columns ?? 80 });
  const plain = stdout.isTTY ? '' : 'stty -onlcr -echo; ';
  say(connection, { command: plain + command, term: process.env.TERM ?? 'dumb', ...size() });
  const keys = (chunk: Buffer): void => say(connection, { keys: chunk.toString('base64') });
  const resized = (): void => say(connection, size());
  if (stdin.isTTY) stdin.setRawMode(true);
  stdin.on('data', keys).on('end', () => keys(Buffer.from('\x04')));
  stdout.on('resize', resized);
  try {
    for await (const line of createInterface({ input: connection })) {
      const heard = JSON.parse(line) as Hear;
      if ('refusal' in heard) throw new Error(heard.refusal);
      if ('code' in heard) return heard.code;
      stdout.write(Buffer.from(heard.output, 'base64'));
    }
    throw new Error('The lab has ended.');
  } finally {
    if (stdin.isTTY) stdin.setRawMode(false);
    stdin.destroy();
    connection.destroy();
  }
}

function say(connection: Socket, what: Say): void {
  connection.write(`${JSON.stringify(what)}\n`);
}

function quote(text: string): string {
  return `'${text.replaceAll("'", "'\\''")}'`;
}
