import { createHmac, randomBytes } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { CodedError } from '../errors.ts';
import { writeWhole } from '../store/whole-file.ts';

/** The secrets by which the front and an agent know each other, base64url; another machine under a name has another one. */
export type LinkKeys = (name: string, machineId: string) => string;

const bytes = 32;

/** All come from one, DIR/link.key, which is made at the first start. Throws STATE_CORRUPT. */
export async function openLinkKeys(dir: string): Promise<LinkKeys> {
  const path = join(dir, 'link.key');
  const root = read(path) ?? randomBytes(bytes);
  if (root.length !== bytes)
    throw new CodedError('STATE_CORRUPT', `${path} is damaged: remove it, and restart the controller and dsr-front`);
  await writeWhole(path, `${root.toString('base64url')}\n`, 0o600);
  return (name, machineId) =>
    createHmac('sha256', root)
      .update(JSON.stringify([name, machineId]))
      .digest('base64url');
}

function read(path: string): Buffer | undefined {
  try {
    return Buffer.from(readFileSync(path, 'utf8').trim(), 'base64url');
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException;
    if (code === 'ENOENT') return undefined;
    throw new CodedError('STATE_UNREADABLE', `${path} cannot be read: ${message}`);
  }
}
