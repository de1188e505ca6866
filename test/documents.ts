import type { Document } from '../src/store/document.ts';

/** A document that lives in memory alone. */
export function inMemory<T>(value: T): Document<T> {
  return {
    get: () => value,
    change: async (next) => {
      value = next(value);
      return value;
    },
  };
}
