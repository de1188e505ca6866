import { fstatSync } from 'node:fs';
import { type Logger, pino } from 'pino';

const STDOUT = 1;
const STDERR = 2;

/**
 * A program's log on its standard output: a line of JSON for each message. For the journal it is priority, message, then
 * the keys as JSON: time, program and process are known there.
 */
export function createLog(name: string, level: string, env: NodeJS.ProcessEnv): Logger {
  if (!isJournal(STDOUT, env)) return pino({ name, level });
  const out = pino.destination(STDOUT);
  return pino({ level, base: null, timestamp: false }, { write: (line) => void out.write(forJournal(line)) });
}

/** The text with a priority before each line, which the journal takes from there (sd-daemon(3)), where it reads stderr. */
export const asError = (text: string, env: NodeJS.ProcessEnv): string =>
  isJournal(STDERR, env) ? text.replace(/^(?=.)/gm, '<3>') : text;

/** Whether a file descriptor leads to the journal (systemd.exec(5), JOURNAL_STREAM). */
function isJournal(fd: number, { JOURNAL_STREAM }: NodeJS.ProcessEnv): boolean {
  if (!JOURNAL_STREAM) return false;
  try {
    const { dev, ino } = fstatSync(fd, { bigint: true });
    return JOURNAL_STREAM === `${dev}:${ino}`;
  } catch {
    // It is closed.
    return false;
  }
}

function forJournal(line: string): string {
  const { level, msg, ...keys } = JSON.parse(line) as { level: number; msg?: string };
  const rest = Object.keys(keys).length > 0 ? ` ${JSON.stringify(keys)}` : '';
  return `<${priorityOf(level)}>${oneLine(msg ?? '')}${rest}\n`;
}

const oneLine = (text: string) => text.replaceAll('\n', ' ');

/** syslog(3) for a level of pino: debug 7, info 6, warning 4, error 3, critical 2. */
function priorityOf(level: number): number {
  if (level < 30) return 7;
  if (level < 40) return 6;
  if (level < 50) return 4;
  return level < 60 ? 3 : 2;
}
