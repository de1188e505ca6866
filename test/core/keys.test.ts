import fc from 'fast-check';
import t from 'tap';
import {
  isExpired,
  type Key,
  type Keys,
  keyOf,
  redeemed,
  renewed,
  used,
  withKey,
  withoutKey,
} from '../../src/core/keys.ts';
import { holds } from '../property.ts';

const day = 86_400_000;
const key = (more: Partial<Key> = {}): Key => ({
  role: 'agent',
  name: 'rs1',
  hash: '00',
  machineId: 'm1',
  created: 0,
  expires: 30 * day,
  replaces: null,
  ...more,
});

t.test('a key is good until it expires, and remembered for a while', async (t) => {
  t.notOk(isExpired(key({ expires: null }), 1e15));
  t.notOk(isExpired(key(), 30 * day - 1));
  t.ok(isExpired(key(), 30 * day));
  const keys = withKey({ a: key() }, 'b', key({ created: 59 * day, expires: 89 * day }));
  t.strictSame(Object.keys(keys), ['a', 'b']);
  t.strictSame(Object.keys(withKey(keys, 'c', key({ created: 61 * day, expires: null }))), ['b', 'c']);
  t.equal(keyOf({}, 'constructor'), undefined);
  t.strictSame(Object.keys(withoutKey(keys, 'a')), ['b']);
});

t.test('an invitation becomes the one key of its agent', async (t) => {
  const keys: Keys = {
    old: key(),
    invitation: key({ role: 'invitation', machineId: null }),
    second: key({ role: 'invitation', machineId: null }),
    other: key({ name: 'rs2' }),
    admin: key({ role: 'admin', name: 'rs1' }),
  };
  t.strictSame(Object.keys(redeemed(keys, 'new', key({ machineId: 'm2' }))).sort(), ['admin', 'new', 'other']);
});

type Act = { act: 'renew' | 'lost' } | { act: 'use'; newest: boolean };
const acts: fc.Arbitrary<Act> = fc.oneof(
  fc.constantFrom<Act>({ act: 'renew' }, { act: 'lost' }),
  fc.record({ act: fc.constant('use' as const), newest: fc.boolean() }),
);

holds(
  t,
  'whenever an agent crashes while it takes a new key, it holds one that is good, and there are never more than two',
  fc.property(fc.array(acts, { maxLength: 30 }), (list) => {
    let keys: Keys = { k0: key() };
    let made = 0;
    /** What the agent has on its disk. */
    let held = 'k0';
    for (const act of list) {
      if (act.act === 'use') keys = used(keys, held);
      else {
        const id = `k${++made}`;
        keys = renewed(keys, id, key({ replaces: held }));
        // Lost: the answer never came, or the disk was full.
        if (act.act === 'renew') held = id;
        if (act.act === 'renew') keys = used(keys, held);
      }
      if (!keyOf(keys, held) || Object.keys(keys).length > 2) return false;
    }
    keys = used(keys, held);
    return keyOf(keys, held)?.replaces === null;
  }),
);
