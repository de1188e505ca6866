import type { Readable } from 'node:stream';
import { clip, jsonText, type Line, render, withoutSecrets } from './view/text.ts';

/** Where lines go; `isTTY` as of process.stdout. */
export interface Out {
  write(text: string): unknown;
  isTTY?: boolean;
  columns?: number;
  rows?: number;
}

/** What the program has of its surroundings. */
export interface Io {
  env: NodeJS.ProcessEnv;
  stdin: Readable & { isTTY?: boolean };
  stdout: Out;
  stderr: Out;
  /** The controller's socket for root on this host. */
  rootSocket: string;
  /** Aborted when the user wants it to end. */
  stop: AbortSignal;
}

/** Whether this goes to a terminal that may be coloured (no-color.org). */
export const hasColours = (out: Out, env: NodeJS.ProcessEnv): boolean =>
  out.isTTY === true && !env.NO_COLOR && env.TERM !== 'dumb';

/** Writes lines for people. */
export function print(io: Io, lines: readonly Line[], out = io.stdout): void {
  const colours = hasColours(out, io.env);
  const text = lines.map((line) => `${render(line, colours)}\n`).join('');
  // What goes to stderr is kept in logs.
  out.write(out === io.stderr ? withoutSecrets(text) : text);
}

/** Writes one JSON document, over several lines or in one. */
export const printJson = (io: Io, value: unknown, indent?: number): void =>
  void io.stdout.write(`${jsonText(value, indent)}\n`);

/** A part of a terminal that is drawn over and over. */
export interface Screen {
  draw(lines: readonly Line[]): void;
  close(): void;
}

/** Some terminals do not know their size, and say 0. */
const sizeOf = ({ rows, columns }: Out) => ({ rows: rows || 24, columns: columns || 80 });

/** The alternate screen of a terminal, left as it was at the end; elsewhere each drawing follows the one before. */
export function openScreen(io: Io): Screen {
  const { stdout } = io;
  if (!stdout.isTTY) return { draw: (lines) => print(io, [...lines, '']), close: () => {} };
  const colours = hasColours(stdout, io.env);
  stdout.write('\u001b[?1049h\u001b[?25l');
  return {
    draw: (lines) => {
      const { rows, columns } = sizeOf(stdout);
      const fitting = lines.length < rows ? lines : [...lines.slice(0, rows - 2), `… ${lines.length - rows + 2} more`];
      const text = fitting.map((line) => `${render(clip(line, columns), colours)}\u001b[K\r\n`).join('');
      stdout.write(`\u001b[H${text}\u001b[J`);
    },
    close: () => void stdout.write('\u001b[?25h\u001b[?1049l'),
  };
}

/** Lines of a terminal that are drawn over and stay at the end; elsewhere each drawing that differs is written. */
export function openLines(io: Io): Screen {
  const { stdout } = io;
  let drawn = 0;
  let last = '';
  return {
    draw: (lines) => {
      const colours = hasColours(stdout, io.env);
      const text = lines.map(
        (line) => `${render(stdout.isTTY ? clip(line, sizeOf(stdout).columns) : line, colours)}\n`,
      );
      const whole = text.join('');
      if (whole === last) return;
      last = whole;
      if (!stdout.isTTY) return void stdout.write(whole);
      const up = drawn > 0 ? `\u001b[${drawn}A` : '';
      stdout.write(`${up}${text.map((line) => `\r\u001b[K${line}`).join('')}\u001b[J`);
      drawn = lines.length;
    },
    close: () => {},
  };
}

/** All of the standard input, or of what is piped into it. */
export async function readAll(stdin: Readable): Promise<string> {
  const chunks: Buffer[] = [];
  for await (const chunk of stdin) chunks.push(Buffer.from(chunk as Uint8Array | string));
  return Buffer.concat(chunks).toString('utf8');
}
