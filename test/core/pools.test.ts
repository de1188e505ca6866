import { isDeepStrictEqual } from 'node:util';
import fc from 'fast-check';
import t from 'tap';
import {
  balancedPorts,
  conflictsIn,
  defaultDrainMs,
  drainKey,
  memberOf,
  mergePatch,
  replacePools,
} from '../../src/core/pools.ts';
import { type Drain, emptyState, poolsOf, type State } from '../../src/core/state.ts';
import { type Pools, poolsSchema } from '../../src/schema.ts';
import { poolsArb } from '../arbitraries.ts';
import { holds } from '../property.ts';

const port = { policy: 'real-servers' };
const parse = (pools: object): Pools => poolsSchema.parse(pools);
const web = (realServers: object, more: object = {}) =>
  parse({ web: { vip: '192.0.2.100', ports: { '80/tcp': port }, realServers, ...more } });
const rs1 = { address: '192.0.2.11' };
const rs2 = { address: '192.0.2.12' };
const put = (state: State, pools: Pools, now = 0, drainMs?: number) => replacePools(state, pools, now, drainMs);
const after = (...documents: Pools[]): State => documents.reduce((state, pools) => put(state, pools), emptyState());

t.test('the same (VIP, port, protocol) in two pools is a conflict that names the other pool', async (t) => {
  const pool = (vip: string, key: string) => ({ vip, ports: { [key]: port } });
  t.strictSame(conflictsIn(parse({ a: pool('192.0.2.100', '80/tcp'), b: pool('192.0.2.100', '80/tcp') })), [
    {
      path: 'pools.b.ports.80/tcp',
      message: '192.0.2.100:80/tcp belongs to pool "a"; take another port or VIP, or change that pool',
    },
  ]);
  t.match(conflictsIn(parse({ a: pool('2001:db8::100', '80/udp'), b: pool('2001:db8::100', '80/udp') })), [
    { message: /^\[2001:db8::100\]:80\/udp belongs to pool "a"/ },
  ]);
  for (const [vip, key] of [
    ['192.0.2.101', '80/tcp'],
    ['192.0.2.100', '81/tcp'],
    ['192.0.2.100', '80/udp'],
  ] as const)
    t.strictSame(conflictsIn(parse({ a: pool('192.0.2.100', '80/tcp'), b: pool(vip, key) })), [], `${vip} ${key}`);
});

t.test('one name with two addresses of one family is a conflict; of two families it is one host', async (t) => {
  const pool = (vip: string, address: string) => ({
    vip,
    ports: { '80/tcp': port },
    realServers: { rs1: { address } },
  });
  t.strictSame(conflictsIn(parse({ a: pool('192.0.2.100', '192.0.2.11'), b: pool('192.0.2.101', '192.0.2.12') })), [
    {
      path: 'pools.b.realServers.rs1.address',
      message: '"rs1" is one host, and pool "a" says that its address is 192.0.2.11; use that, or another name',
    },
  ]);
  t.strictSame(conflictsIn(parse({ a: pool('192.0.2.100', '192.0.2.11'), b: pool('192.0.2.101', '192.0.2.11') })), []);
  t.strictSame(
    conflictsIn(parse({ a: pool('192.0.2.100', '192.0.2.11'), b: pool('2001:db8::1', '2001:db8::11') })),
    [],
  );
});

t.test('a real server’s address that is the VIP of another pool is a conflict', async (t) => {
  const b = { vip: '192.0.2.101', ports: { '80/tcp': port }, realServers: { rs1: { address: '192.0.2.100' } } };
  t.strictSame(conflictsIn(parse({ a: { vip: '192.0.2.100', ports: { '80/tcp': port } }, b })), [
    {
      path: 'pools.b.realServers.rs1.address',
      message: '192.0.2.100 is the VIP of pool "a"; give the real server\'s own address',
    },
  ]);
});

// RFC 7396, appendix A: original, patch, result.
const rfc7396: [string, string, string][] = [
  ['{"a":"b"}', '{"a":"c"}', '{"a":"c"}'],
  ['{"a":"b"}', '{"b":"c"}', '{"a":"b","b":"c"}'],
  ['{"a":"b"}', '{"a":null}', '{}'],
  ['{"a":"b","b":"c"}', '{"a":null}', '{"b":"c"}'],
  ['{"a":["b"]}', '{"a":"c"}', '{"a":"c"}'],
  ['{"a":"c"}', '{"a":["b"]}', '{"a":["b"]}'],
  ['{"a":{"b":"c"}}', '{"a":{"b":"d","c":null}}', '{"a":{"b":"d"}}'],
  ['{"a":[{"b":"c"}]}', '{"a":[1]}', '{"a":[1]}'],
  ['["a","b"]', '["c","d"]', '["c","d"]'],
  ['{"a":"b"}', '["c"]', '["c"]'],
  ['{"a":"foo"}', 'null', 'null'],
  ['{"a":"foo"}', '"bar"', '"bar"'],
  ['{"e":null}', '{"a":1}', '{"e":null,"a":1}'],
  ['[1,2]', '{"a":"b","c":null}', '{"a":"b"}'],
  ['{}', '{"a":{"bb":{"ccc":null}}}', '{"a":{"bb":{}}}'],
];

t.test('a merge patch does what every example of RFC 7396 says', async (t) => {
  for (const [target, patch, result] of rfc7396)
    t.strictSame(mergePatch(JSON.parse(target), JSON.parse(patch)), JSON.parse(result), `${target} ${patch}`);
});

holds(
  t,
  'a merge patch changes none of its inputs, and a second time nothing more',
  fc.property(fc.json(), fc.json(), (a, b) => {
    const [target, patch] = [JSON.parse(a), JSON.parse(b)];
    const once = mergePatch(target, patch);
    const twice = mergePatch(once, patch);
    return isDeepStrictEqual([target, patch], [JSON.parse(a), JSON.parse(b)]) && isDeepStrictEqual(twice, once);
  }),
);

t.test('a merge patch of names that every object has changes no prototype', async (t) => {
  const result = mergePatch({}, JSON.parse('{"__proto__":{"a":1},"constructor":{"b":2}}')) as Record<string, unknown>;
  t.strictSame(Object.keys(result), ['constructor']);
  t.strictSame(result.constructor, { b: 2 });
  t.equal(result.a, undefined);
});

holds(
  t,
  'the revision counts changes, and a pool has that of its own last one',
  fc.property(fc.array(poolsArb, { maxLength: 4 }), (documents) => {
    let state = emptyState();
    for (const pools of documents) {
      const before = state;
      state = put(before, pools);
      const same = isDeepStrictEqual(poolsOf(before), pools);
      if (same !== (state === before) || (!same && state.revision !== before.revision + 1)) return false;
      for (const [name, pool] of Object.entries(pools)) {
        const old = Object.hasOwn(before.pools, name) ? before.pools[name] : undefined;
        const kept = old && isDeepStrictEqual(old.pool, pool);
        if (state.pools[name]?.revision !== (kept ? old.revision : state.revision)) return false;
      }
      if (!isDeepStrictEqual(poolsOf(state), pools) || put(state, structuredClone(pools)) !== state) return false;
    }
    return true;
  }),
);

holds(
  t,
  'whoever left or is out of service has one drain with a deadline, and whoever is active has none',
  fc.property(fc.array(poolsArb, { minLength: 1, maxLength: 4 }), fc.nat(60_000), (documents, drainMs) => {
    let state = emptyState();
    return documents.every((pools) => {
      const before = poolsOf(state);
      state = put(state, pools, 1000, drainMs);
      const drains = new Map(state.drains.map((d) => [drainKey(d.pool, d.vip, d.address), d]));
      const states = new Map(members(pools));
      const bounded = (d: Drain | undefined) => d && d.drainMs <= 60_000 && d.deadline === 1000 + d.drainMs;
      return (
        drains.size === state.drains.length &&
        state.drains.every(bounded) &&
        members(before).every(([key]) => states.get(key) === 'active' || bounded(drains.get(key))) &&
        [...states].every(([key, admin]) => drains.has(key) === (admin !== 'active'))
      );
    });
  }),
);
const members = (pools: Pools): [string, string][] =>
  Object.entries(pools).flatMap(([pool, { vip, realServers }]) =>
    Object.values(realServers).map(({ address, state }): [string, string] => [drainKey(pool, vip, address), state]),
  );

t.test(
  'a real server that a PUT drops is drained with the default deadline, or with the one that was given',
  async (t) => {
    const state = after(web({ rs1, rs2 }));
    t.strictSame(put(state, web({ rs1 }), 1000).drains, [
      {
        pool: 'web',
        realServer: 'rs2',
        vip: '192.0.2.100',
        address: '192.0.2.12',
        ports: ['80/tcp'],
        deadline: 1000 + defaultDrainMs,
        drainMs: defaultDrainMs,
        done: false,
      },
    ]);
    t.match(put(state, web({ rs1 }), 1000, 0).drains, [{ deadline: 1000, drainMs: 0 }]);
  },
);

t.test('the earlier of two deadlines counts', async (t) => {
  const state = put(after(web({ rs1, rs2 })), web({ rs1: { ...rs1, state: 'drain' }, rs2 }), 0, 5000);
  t.match(put(state, web({ rs2 }), 1000, 60_000).drains, [{ deadline: 5000, drainMs: 5000 }], 'the old one');
  t.match(put(state, web({ rs2 }), 1000, 100).drains, [{ deadline: 1100, drainMs: 100 }], 'the new one');
});

t.test('drain and maintenance begin a drain, and active cancels it', async (t) => {
  for (const state of ['drain', 'maintenance']) {
    const out = put(after(web({ rs1 })), web({ rs1: { ...rs1, state } }));
    t.match(out.drains, [{ realServer: 'rs1', done: false }]);
    t.strictSame(put(out, web({ rs1 })).drains, []);
    t.strictSame(put(out, web({ rs1: { ...rs1, state: 'drain', weight: 7 } })).drains, out.drains, 'the same drain');
  }
});

t.test('who comes into a pool out of service has nothing to wait for', async (t) => {
  t.match(after(web({ rs1: { ...rs1, state: 'maintenance' } })).drains, [{ realServer: 'rs1', done: true }]);
});

t.test('a drain that goes on is found again under a new name of the same address', async (t) => {
  const state = after(web({ rs1 }), web({ rs9: { ...rs1, state: 'drain' } }));
  t.match(state.drains, [{ realServer: 'rs9', address: '192.0.2.11', done: false }]);
});

t.test('a pool that is deleted or moved to another VIP has nothing to wait for: its services go at once', async (t) => {
  t.match(after(web({ rs1 }), {}).drains, [{ realServer: 'rs1', vip: '192.0.2.100', done: true }]);
  const moved = after(web({ rs1 }), web({ rs1 }, { vip: '192.0.2.101' }));
  t.match(moved.drains, [{ realServer: 'rs1', vip: '192.0.2.100', done: true }]);
});

t.test('a new address of a real server drains the old one', async (t) => {
  const state = after(web({ rs1 }), web({ rs1: { address: '192.0.2.21' } }));
  t.match(state.drains, [{ realServer: 'rs1', address: '192.0.2.11', done: false }]);
});

t.test('a drain is about a member only while pool, VIP, name and address are those of the pool', async (t) => {
  const pools = web({ rs1 });
  const [drain] = after(web({ rs1 }), web({ rs1: { ...rs1, state: 'drain' } })).drains;
  t.strictSame(memberOf(pools, drain!), pools.web!.realServers.rs1);
  for (const other of [
    { pool: 'x' },
    { vip: '192.0.2.1' },
    { realServer: 'x' },
    { realServer: null },
    { address: '192.0.2.9' },
    { realServer: 'constructor' },
    { pool: 'constructor' },
  ])
    t.equal(memberOf(pools, { ...drain!, ...other }), undefined, JSON.stringify(other));
});

t.test('balanced ports are those that are not the director’s', async (t) => {
  const ports = { '80/tcp': port, '8080/tcp': { policy: 'director' }, '53/udp': port };
  t.strictSame(balancedPorts(web({}, { ports }).web!), ['80/tcp', '53/udp']);
});
