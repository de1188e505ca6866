import { open, rename, rm } from 'node:fs/promises';
import { dirname } from 'node:path';

/**
 * Replaces the file by `text`, whole or not at all: written beside it as NAME.DIGITS, synced, renamed over it (rename(2)),
 * and the folder synced. When it rejects, the old file is as it was.
 */
export async function writeWhole(path: string, text: string, mode: number): Promise<void> {
  const temporary = `${path}.${process.pid}`;
  try {
    const handle = await open(temporary, 'w', mode);
    try {
      // Goes on after a short write, as a disk that fills up gives.
      await handle.writeFile(text);
      await handle.sync();
    } finally {
      await handle.close();
    }
    await rename(temporary, path);
  } catch (error) {
    await rm(temporary, { force: true });
    throw error;
  }
  await syncFolder(dirname(path));
}

async function syncFolder(folder: string): Promise<void> {
  const handle = await open(folder, 'r');
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
}
