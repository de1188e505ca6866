import { mkdirSync, readdirSync, readFileSync, renameSync, rmSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import type { z } from 'zod';
import { CodedError } from '../errors.ts';
import { writeWhole } from './whole-file.ts';

/** A value that lives in memory and, whole, in one file. */
export interface Document<T> {
  get(): T;
  /**
   * Replaces the value by `next(value)`, one change after the other. Resolves when the file is synced; rejects, and
   * leaves the value, when `next` throws or the file cannot be written.
   */
  change(next: (value: T) => T): Promise<T>;
}

export interface DocumentOptions<T> {
  path: string;
  /** Version of the file's format; a file of a newer one is refused. */
  version: number;
  schema: z.ZodType<T>;
  initial: T;
  /** Told after each change. */
  changed?: (value: T) => void;
}

/**
 * Opens the file, or starts with `initial` where there is none. The write is atomic (rename(2)) and synced with its
 * folder, so that a crash leaves either the old or the new. Throws STATE_CORRUPT or STATE_NEWER, and then has touched nothing.
 */
export function openDocument<T>(options: DocumentOptions<T>): Document<T> {
  let value = load(options);
  let queue: Promise<unknown> = Promise.resolve();
  const save = async (next: T) => {
    try {
      mkdirSync(dirname(options.path), { recursive: true, mode: 0o700 });
      await writeWhole(options.path, `${JSON.stringify({ version: options.version, ...next })}\n`, 0o600);
    } catch (error) {
      throw new CodedError(
        'STATE_NOT_SAVED',
        `${options.path} cannot be written (${words(error)}); nothing was changed. Make room or correct its owner, then try again`,
        1,
        { cause: error },
      );
    }
  };
  const change = async (next: (value: T) => T) => {
    const result = next(value);
    if (result === value) return value;
    await save(result);
    value = result;
    options.changed?.(value);
    return value;
  };
  return {
    get: () => value,
    change: (next) => {
      const done = queue.then(() => change(next));
      queue = done.catch(() => {});
      return done;
    },
  };
}

/**
 * The same of a value that can be done without: a file that cannot be understood is renamed to NAME.bad, and the value is
 * the initial one.
 *
 * @param told what was wrong with it
 */
export function openExpendable<T>(options: DocumentOptions<T>, told: (words: string) => void): Document<T> {
  try {
    return openDocument(options);
  } catch (error) {
    if (!(error instanceof CodedError) || !['STATE_CORRUPT', 'STATE_NEWER'].includes(error.code)) throw error;
    const { path } = options;
    renameSync(path, `${path}.bad`);
    told(`${path} cannot be understood: it is ${path}.bad now, and what it held is counted anew`);
    return openDocument(options);
  }
}

function load<T>({ path, version, schema, initial }: DocumentOptions<T>): T {
  let text: string;
  try {
    text = readFileSync(path, 'utf8');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return initial;
    throw new CodedError('STATE_UNREADABLE', `${path} cannot be read: ${words(error)}`, 1, { cause: error });
  }
  const remedy = `Nothing was changed. Put a good copy back, or move the file away to start without it: mv ${path} ${path}.bad`;
  let parsed: unknown;
  try {
    parsed = JSON.parse(text);
  } catch (error) {
    throw new CodedError('STATE_CORRUPT', `${path} is damaged (${words(error)}). ${remedy}`, 1, { cause: error });
  }
  const { version: found, ...rest } = (typeof parsed === 'object' && parsed !== null ? parsed : {}) as Record<
    string,
    unknown
  >;
  if (typeof found === 'number' && found > version)
    throw new CodedError(
      'STATE_NEWER',
      `${path} was written by a newer version (format ${found}; this one reads ${version}). Nothing was changed. Install that version again, or move the file away to start without it: mv ${path} ${path}.newer`,
    );
  const result = schema.safeParse(rest);
  if (found !== version || !result.success) {
    const issue = result.error?.issues[0];
    const where = found !== version || !issue ? 'no format version' : `${issue.path.join('.')}: ${issue.message}`;
    throw new CodedError('STATE_CORRUPT', `${path} is damaged (${where}). ${remedy}`);
  }
  sweep(path);
  return result.data;
}

/** Removes what a crash in mid-write left: NAME.DIGITS. */
function sweep(path: string): void {
  const folder = dirname(path);
  for (const name of readdirSync(folder))
    if (name.startsWith(`${basename(path)}.`) && /^\d+$/.test(name.slice(basename(path).length + 1)))
      rmSync(join(folder, name), { force: true });
}

const words = (error: unknown) => (error instanceof Error ? error.message : String(error));
