import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { z } from 'zod';
import { CodedError } from '../src/errors.ts';
import { writeWhole } from '../src/store/whole-file.ts';

/** What lets this agent in: its token, and the controller's authority, which it trusts and no other. */
export interface Pass {
  token: string;
  /** From then on it asks for a new one, by this host's clock, milliseconds since the epoch; null: never. */
  renewAt: number | null;
  /** The authority's certificate, as PEM. */
  ca: string;
}

const schema = z.object({
  token: z.string(),
  renewAt: z.number().nullable(),
  ca: z.string(),
});

const pathOf = (dir: string) => join(dir, 'pass.json');

/** DIR/pass.json, which `dsr-agent join` writes; undefined when there is none. */
export function readPass(dir: string): Pass | undefined {
  let text: string;
  try {
    text = readFileSync(pathOf(dir), 'utf8');
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException;
    if (code === 'ENOENT') return undefined;
    throw new CodedError('STATE_UNREADABLE', `${pathOf(dir)} cannot be read: ${message}`);
  }
  try {
    return schema.parse(JSON.parse(text));
  } catch {
    throw new CodedError(
      'STATE_CORRUPT',
      `${pathOf(dir)} is damaged. Invite this agent again (on the director: dsrctl agent invite), and run the line that it prints`,
    );
  }
}

/** Keeps a token that was just given; asks for the next when a third of its life is over. */
export async function keepPass(
  dir: string,
  { token, expiresInSeconds }: { token: string; expiresInSeconds: number | null },
  ca: string,
  now: number,
): Promise<Pass> {
  const renewAt = expiresInSeconds === null ? null : now + (expiresInSeconds * 1000) / 3;
  const pass: Pass = { token, renewAt, ca };
  await writeWhole(pathOf(dir), `${JSON.stringify(pass)}\n`, 0o600);
  return pass;
}
