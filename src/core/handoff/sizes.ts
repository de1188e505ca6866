import { extensionOf } from '../url/match.ts';

/** How large answers are, as far as they were seen. */
export interface Sizes {
  saw(path: string, bytes: number): void;
  /** Of a path that was seen, else what those with its extension have on average; undefined: nobody knows. */
  expected(path: string): number | undefined;
}

/** @param most paths that are remembered; the one that was seen longest ago goes first */
export function createSizes(most = 10_000): Sizes {
  const paths = new Map<string, number>();
  const extensions = new Map<string, number>();
  const remember = (map: Map<string, number>, key: string, bytes: number) => {
    map.delete(key);
    map.set(key, bytes);
    if (map.size <= most) return;
    for (const oldest of map.keys()) {
      map.delete(oldest);
      return;
    }
  };
  return {
    saw(path, bytes) {
      remember(paths, path, bytes);
      const extension = extensionOf(path) ?? '';
      const before = extensions.get(extension) ?? bytes;
      remember(extensions, extension, before + (bytes - before) * newShare);
    },
    expected: (path) => paths.get(path) ?? extensions.get(extensionOf(path) ?? ''),
  };
}

/** A moving average: the last dozen counts. */
const newShare = 1 / 12;
