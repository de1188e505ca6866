/** What of the caches of a pool's real servers counts no more. Generations are revisions: they only grow. */
export interface Purges {
  /** All that came before it. */
  generation: number;
  /** The same of one path, or of all below one that ends with "/"; the last purge first. */
  paths: { path: string; generation: number }[];
}

export const noPurges: Purges = { generation: 0, paths: [] };

/** More of them would slow every look into a cache: then all of it is purged. */
const mostPaths = 100;

/** @param path undefined: everything */
export function purged(before: Purges, path: string | undefined, generation: number): Purges {
  if (path === undefined || path === '/') return { generation, paths: [] };
  const isCovered = (other: string) => other === path || (path.endsWith('/') && other.startsWith(path));
  const paths = [{ path, generation }, ...before.paths.filter((other) => !isCovered(other.path))];
  return paths.length > mostPaths ? { generation, paths: [] } : { ...before, paths };
}
