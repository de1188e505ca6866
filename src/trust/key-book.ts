import type { Caller } from '../core/access.ts';
import { isExpired, type Key, type Keys, keyOf, redeemed, renewed, used, withKey, withoutKey } from '../core/keys.ts';
import { RequestError } from '../errors.ts';
import type { Document } from '../store/document.ts';
import { fits, hashOf, newToken, parseToken, textOf } from './token.ts';

/** A key that was just made; its token is shown now and never again. */
export interface Made {
  id: string;
  token: string;
  /** Milliseconds since the epoch; null: never. */
  expires: number | null;
}

/** Who may speak to the controller. */
export interface KeyBook {
  /** Whose token this is. */
  caller(token: string): Caller | 'unknown' | 'expired';
  all(): Keys;
  /** Whether this key may still be used. */
  isGood(id: string): boolean;
  /** A key for people and programs. @param reveal told the token before it is good for anything */
  make(
    role: 'admin' | 'viewer',
    name: string,
    lifeMs: number | null,
    reveal?: (token: string) => Promise<void>,
  ): Promise<Made>;
  /** Single-use, for `dsr-agent join`; an earlier one for the same agent is no more. */
  invite(agent: string, lifeMs: number): Promise<Made>;
  /** Makes an invitation into the agent's key, for one machine. Throws UNAUTHENTICATED when somebody was faster. */
  redeem(invitation: string, machineId: string): Promise<Made>;
  /** A new key for an agent in place of its present one, which stays good until the new one is used. */
  renew(id: string): Promise<Made>;
  /** False when there is none. Throws CONFLICT when no administrator's key would be left. */
  revoke(id: string): Promise<boolean>;
  /** Takes an agent's key and invitations away. False when there are none. */
  revokeAgent(name: string): Promise<boolean>;
}

const agentLifeMs = 30 * 86_400_000;

export function createKeyBook(
  document: Document<{ keys: Keys }>,
  failed: (error: Error) => void,
  now = Date.now,
): KeyBook {
  const change = (next: (keys: Keys) => Keys) =>
    document.change((value) => {
      const keys = next(value.keys);
      return keys === value.keys ? value : { keys };
    });
  const make = async (
    key: Pick<Key, 'role' | 'name'> & Partial<Key>,
    lifeMs: number | null,
    put: (keys: Keys, id: string, key: Key) => Keys = withKey,
    reveal?: (token: string) => Promise<void>,
  ): Promise<Made> => {
    const token = newToken();
    await reveal?.(textOf(token));
    const created = now();
    const expires = lifeMs === null ? null : created + lifeMs;
    const whole = { machineId: null, replaces: null, ...key, hash: hashOf(token.secret), created, expires };
    await change((keys) => put(keys, token.id, whole));
    return { id: token.id, token: textOf(token), expires };
  };
  const present = (keys: Keys, id: string): Key => {
    const key = keyOf(keys, id);
    if (!key) throw new RequestError('UNAUTHENTICATED', 'this token was used up or revoked just now');
    return key;
  };
  return {
    caller: (text) => {
      const token = parseToken(text);
      const key = token && keyOf(document.get().keys, token.id);
      if (!token || !key || !fits(token.secret, key.hash)) return 'unknown';
      if (isExpired(key, now())) return 'expired';
      if (key.replaces !== null) change((keys) => used(keys, token.id)).catch(failed);
      const { role, name, machineId } = key;
      return { kind: 'key', id: token.id, role, name, machineId };
    },
    all: () => document.get().keys,
    isGood: (id) => {
      const key = keyOf(document.get().keys, id);
      return key !== undefined && !isExpired(key, now());
    },
    make: async (role, name, lifeMs, reveal) => make({ role, name }, lifeMs, withKey, reveal),
    invite: (agent, lifeMs) =>
      make({ role: 'invitation', name: agent }, lifeMs, (keys, id, key) => {
        const others = Object.entries(keys).filter(([, { role, name }]) => role !== 'invitation' || name !== agent);
        return withKey(Object.fromEntries(others), id, key);
      }),
    redeem: async (invitation, machineId) => {
      const { name } = present(document.get().keys, invitation);
      return make({ role: 'agent', name, machineId }, agentLifeMs, (keys, id, key) => {
        present(keys, invitation);
        return redeemed(keys, id, key);
      });
    },
    renew: async (old) => {
      const { name, machineId } = present(document.get().keys, old);
      return make({ role: 'agent', name, machineId, replaces: old }, agentLifeMs, (keys, id, key) => {
        present(keys, old);
        return renewed(keys, id, key);
      });
    },
    revoke: async (id) => {
      let found = false;
      await change((keys) => {
        const key = keyOf(keys, id);
        found = key !== undefined;
        if (!key) return keys;
        const admins = Object.entries(keys).filter(([, other]) => other.role === 'admin' && !isExpired(other, now()));
        if (admins.length === 1 && admins[0]?.[0] === id)
          throw new RequestError(
            'CONFLICT',
            "this is the only administrator's token: make another one before (dsrctl token create --role admin)",
          );
        return withoutKey(keys, id);
      });
      return found;
    },
    revokeAgent: async (agent) => {
      let found = false;
      await change((keys) => {
        const others = Object.entries(keys).filter(
          ([, { role, name }]) => name !== agent || (role !== 'agent' && role !== 'invitation'),
        );
        found = others.length < Object.keys(keys).length;
        return found ? Object.fromEntries(others) : keys;
      });
      return found;
    },
  };
}
