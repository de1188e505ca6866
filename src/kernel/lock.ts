import { mkdirSync, openSync } from 'node:fs';
import koffi from 'koffi';
import { CodedError } from '../errors.ts';

const LOCK_EX = 2;
const LOCK_NB = 4;

/**
 * Makes the folder if it is missing and holds it for this process (flock(2) on the folder, gone with the process).
 * Throws ALREADY_RUNNING when another process holds it.
 */
export function holdFolder(folder: string, holder: string): void {
  let fd: number;
  try {
    mkdirSync(folder, { recursive: true, mode: 0o700 });
    fd = openSync(folder, 'r');
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException;
    throw new CodedError(
      'STATE_UNREADABLE',
      `the state folder ${folder} cannot be used: ${message}; correct "stateDir", or run as root`,
      code === 'EACCES' || code === 'EPERM' ? 3 : 1,
      { cause: error },
    );
  }
  const flock = koffi.load(null).func('int flock(int fd, int operation)');
  if (flock(fd, LOCK_EX | LOCK_NB) !== 0)
    throw new CodedError(
      'ALREADY_RUNNING',
      `another ${holder} runs with the state folder ${folder}; stop that one first, or give this one a folder of its own`,
    );
}
