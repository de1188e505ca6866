import type { Role } from './access.ts';

/** A token as it is stored: of its secret only the hash. Times in milliseconds since the epoch. */
export interface Key {
  role: Role;
  /** Of an agent's key and of an invitation: the agent's name; of others what they were made for. */
  name: string;
  /** SHA-256 of the secret, hexadecimal. */
  hash: string;
  /** Machine that an agent's key was given to. */
  machineId: string | null;
  created: number;
  /** null: never. */
  expires: number | null;
  /** The key that this one was made in place of; it goes when this one is first used. */
  replaces: string | null;
}

/** By id. */
export type Keys = Readonly<Record<string, Key>>;

/** What is expired is remembered for so long, to be told from what never was. */
const rememberedMs = 30 * 86_400_000;

export const keyOf = (keys: Keys, id: string): Key | undefined => (Object.hasOwn(keys, id) ? keys[id] : undefined);

export const isExpired = ({ expires }: Key, now: number): boolean => expires !== null && now >= expires;

/** Without what expired long ago. */
export function withKey(keys: Keys, id: string, key: Key): Keys {
  const kept = Object.entries(keys).filter(
    ([, { expires }]) => expires === null || key.created - expires < rememberedMs,
  );
  return { ...Object.fromEntries(kept), [id]: key };
}

export function withoutKey(keys: Keys, id: string): Keys {
  const { [id]: _, ...rest } = keys;
  return rest;
}

/** Once a key is used, the one that it replaces is no more. The same keys when it replaces none. */
export function used(keys: Keys, id: string): Keys {
  const key = keyOf(keys, id);
  if (!key || key.replaces === null) return keys;
  return { ...withoutKey(keys, key.replaces), [id]: { ...key, replaces: null } };
}

/** Makes an invitation into the key of its agent; other keys and invitations of that name are no more. */
export function redeemed(keys: Keys, id: string, key: Key): Keys {
  const others = Object.entries(keys).filter(
    ([, { role, name }]) => name !== key.name || (role !== 'agent' && role !== 'invitation'),
  );
  return withKey(Object.fromEntries(others), id, key);
}

/** A key in place of another, which stays good until the new one is used; of earlier tries nothing is left. */
export function renewed(keys: Keys, id: string, key: Key): Keys {
  const others = Object.entries(keys).filter(([, { replaces }]) => replaces === null || replaces !== key.replaces);
  return withKey(Object.fromEntries(others), id, key);
}
