/** Connections that were given to agents, by tuple key. */
export interface Given {
  to(key: string): string | undefined;
  /** How many an agent has, as far as it has told. */
  count(name: string): number;
  add(key: string, name: string): void;
  remove(key: string): void;
  /** Nothing more will be heard of those that it has. */
  forget(name: string): void;
}

export function createGiven(): Given {
  const names = new Map<string, string>();
  const keys = new Map<string, Set<string>>();
  const remove = (key: string) => {
    const name = names.get(key);
    names.delete(key);
    if (name !== undefined) keys.get(name)?.delete(key);
  };
  return {
    to: (key) => names.get(key),
    count: (name) => keys.get(name)?.size ?? 0,
    add(key, name) {
      remove(key);
      names.set(key, name);
      const all = keys.get(name) ?? new Set();
      keys.set(name, all.add(key));
    },
    remove,
    forget(name) {
      for (const key of keys.get(name) ?? []) names.delete(key);
      keys.delete(name);
    },
  };
}
