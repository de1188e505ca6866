import { chmod, lutimes, readdir, rmdir } from 'node:fs/promises';
import { join, relative } from 'node:path';

/** All files and links below a folder, sorted, relative to it. */
export async function filesBelow(folder: string): Promise<string[]> {
  const entries = await readdir(folder, { recursive: true, withFileTypes: true });
  return entries
    .filter((entry) => !entry.isDirectory())
    .map((entry) => relative(folder, join(entry.parentPath, entry.name)))
    .sort();
}

/** Removes folders that have nothing in them, from the deepest up; not the folder itself. */
export async function removeEmptyFolders(folder: string): Promise<void> {
  const entries = await readdir(folder, { recursive: true, withFileTypes: true });
  const folders = entries.filter((entry) => entry.isDirectory()).map((entry) => join(entry.parentPath, entry.name));
  for (const one of folders.sort((a, b) => b.length - a.length))
    if ((await readdir(one)).length === 0) await rmdir(one);
}

/** Gives all below a folder the modes of a package, whatever the umask was, and one time. */
export async function normalize(folder: string, isProgram: (path: string) => boolean, time: number): Promise<void> {
  const entries = await readdir(folder, { recursive: true, withFileTypes: true });
  for (const entry of entries) {
    const path = join(entry.parentPath, entry.name);
    const inside = relative(folder, path);
    if (!entry.isSymbolicLink()) await chmod(path, entry.isDirectory() || isProgram(inside) ? 0o755 : 0o644);
  }
  for (const entry of entries) await lutimes(join(entry.parentPath, entry.name), time, time);
  await chmod(folder, 0o755);
  await lutimes(folder, time, time);
}
