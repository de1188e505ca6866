import fc from 'fast-check';
import t from 'tap';
import { droppingRule, reachedRules } from '../../../src/core/doctor/filter-rule.ts';
import { hasForeignMatch, nftFilter } from '../../../src/core/doctor/nft.ts';
import { holds } from '../../property.ts';

const of = { family: 'inet', table: 'f' };
const chain = (name: string, hook?: string) => ({ chain: { ...of, name, handle: 1, ...(hook && { hook, prio: 0 }) } });
const rule = (name: string, ...expr: unknown[]) => ({ rule: { ...of, chain: name, handle: 7, expr } });
const state = { ct: { key: 'state' } };
const match = (right: unknown, op = 'in', left: unknown = state) => ({ match: { op, left, right } });
const drop = { drop: null };
const daddr = { payload: { protocol: 'ip', field: 'daddr' } };
const dropped = (...rules: object[]) =>
  droppingRule(nftFilter({ nftables: [chain('in', 'input'), chain('out', 'output'), ...rules] }))?.place;
const untracked = (...expr: unknown[]) =>
  reachedRules(nftFilter({ nftables: [chain('in', 'prerouting'), rule('in', ...expr)] })).flatMap(
    (one) => one.untracked,
  );

// As nft 1.0.6 prints them.
for (const [words, ...expr] of [
  ['ct state invalid drop', match('invalid'), drop],
  ['ct state { invalid } drop', match({ set: ['invalid'] }), drop],
  ['ct state invalid,new counter reject', match(['invalid', 'new']), { counter: { packets: 0, bytes: 0 } }, { reject: { type: 'icmpx', expr: 'port-unreachable' } }],
  ['ct state & invalid == invalid drop', match('invalid', '==', { '&': [state, 'invalid'] }), drop],
  ['ct state != { established, new } drop', match({ set: ['established', 'new'] }, '!='), drop],
  ['meta l4proto tcp ct state invalid drop', match('tcp', '==', { meta: { key: 'l4proto' } }), match('invalid'), drop],
  ['ct state vmap { established : accept, invalid : drop }', { vmap: { key: state, data: { set: [['established', { accept: null }], ['invalid', drop]] } } }],
] as const) // biome-ignore format: a table
  t.equal(dropped(rule('in', ...expr)), 'inet table f, chain in, handle 7', words);

for (const [words, ...expr] of [
  ['ct state invalid accept', match('invalid'), { accept: null }],
  ['ct state established,related drop', match(['established', 'related']), drop],
  ['ct state != invalid drop', match('invalid', '!='), drop],
  ['ct direction reply drop', match('reply', '==', { ct: { key: 'direction' } }), drop],
  ['tcp dport 81 drop', match(81, '==', { payload: { protocol: 'tcp', field: 'dport' } }), drop],
  ['drop', drop],
  ['meta mark vmap { 1 : drop }', { vmap: { key: { meta: { key: 'mark' } }, data: { set: [[1, drop]] } } }],
  ['ct state vmap @states', { vmap: { key: state, data: '@states' } }],
  ['ct state vmap { invalid : accept }', { vmap: { key: state, data: { set: [['invalid', { accept: null }]] } } }],
] as const) // biome-ignore format: a table
  t.equal(dropped(rule('in', ...expr)), undefined, words);

t.test('a rule counts where packets to this host come by, also by jumps', async (t) => {
  const deadly = [match('invalid'), drop];
  t.equal(dropped(rule('out', ...deadly)), undefined);
  t.equal(dropped(chain('a'), rule('a', ...deadly)), undefined);
  for (const jump of ['jump', 'goto'])
    t.ok(dropped(chain('a'), rule('in', { [jump]: { target: 'a' } }), rule('a', ...deadly)));
  t.ok(dropped(rule('in', match('invalid'), { jump: { target: 'bad' } }), rule('bad', drop)));
  const map = { vmap: { key: state, data: { set: [['invalid', { goto: { target: 'bad' } }]] } } };
  t.ok(dropped(rule('in', map), rule('bad', { log: null }, drop)));
  t.notOk(dropped(rule('in', map), rule('bad', match(81, '==', { payload: {} }), drop)));
});

t.test('an address is not tracked by a rule that names it and nothing else', async (t) => {
  const notrack = { notrack: null };
  t.strictSame(untracked(match('192.0.2.100', '==', daddr), { counter: null }, notrack), ['192.0.2.100']);
  t.strictSame(untracked(match({ set: ['192.0.2.1', '192.0.2.2'] }, '==', daddr), notrack), ['192.0.2.1', '192.0.2.2']);
  t.strictSame(untracked(match({ prefix: { addr: '192.0.2.0', len: 24 } }, '==', daddr), notrack), ['192.0.2.0/24']);
  for (const expr of [
    [match('192.0.2.100', '==', daddr)],
    [match('192.0.2.100', '!=', daddr), notrack],
    [match('192.0.2.100', '==', daddr), match(80, '==', { payload: { field: 'dport' } }), notrack],
    [match('192.0.2.100', '==', { payload: { protocol: 'ip', field: 'saddr' } }), notrack],
    [match({ range: ['192.0.2.1', '192.0.2.9'] }, '==', daddr), notrack],
    [match(7, '==', daddr), notrack],
    [match('x', '==', 'y'), notrack],
    [{ xt: { type: 'match', name: 'conntrack' } }, notrack],
    [notrack],
  ])
    t.strictSame(untracked(...expr), []);
});

t.test('matches of iptables-nft are known to be there', async (t) => {
  t.equal(hasForeignMatch({ nftables: [rule('in', { xt: { type: 'match', name: 'conntrack' } }, drop)] }), true);
  t.equal(hasForeignMatch({ nftables: [rule('in', match('invalid'), drop)] }), false);
});

/** Anything, made of the words that matter. */
const { anything } = fc.letrec((tie) => ({
  anything: fc.oneof(
    { maxDepth: 6 },
    fc.constantFrom<unknown>('invalid', 'new', 'state', 'daddr', '==', '!=', 'in', '192.0.2.1', null, 7, true),
    fc.array(tie('anything'), { maxLength: 4 }),
    fc.dictionary(
      fc.constantFrom(
        'rule', 'chain', 'expr', 'match', 'left', 'right', 'op', 'ct', 'key', 'set', 'vmap', 'data', 'jump', 'goto',
        'target', 'drop', 'reject', 'notrack', 'payload', 'field', 'prefix', 'addr', 'len', 'xt', 'hook', '&',
      ),
      tie('anything'),
      { maxKeys: 4, noNullPrototype: true },
    ),
  ),
})); // biome-ignore format: a list

const look = (nftables: unknown[]) => {
  const filter = nftFilter({ nftables });
  hasForeignMatch({ nftables });
  return droppingRule(filter);
};

holds(
  t,
  'whatever nft prints, nothing is thrown',
  fc.property(fc.array(anything, { maxLength: 5 }), fc.array(anything), (objects, expr) => {
    look(objects);
    look([chain('in', 'input'), ...objects, rule('in', ...expr)]);
    return true;
  }),
  1000,
);

const partArb = fc.constantFrom(
  match('invalid'),
  match(['established']),
  match({ set: ['invalid', 'new'] }),
  { counter: null },
  { accept: null },
  { log: null },
  { jump: { target: 'a' } },
  { notrack: null },
);
holds(
  t,
  'no ruleset without a drop or reject drops anything',
  fc.property(fc.array(fc.tuple(fc.constantFrom('in', 'a', 'out'), fc.array(partArb))), (rules) => {
    return dropped(...rules.map(([name, expr]) => rule(name, ...expr))) === undefined;
  }),
);
holds(
  t,
  'and one that drops what is invalid does, wherever it stands on the way',
  fc.property(fc.array(fc.tuple(fc.constantFrom('in', 'a'), fc.array(partArb))), fc.nat(4), (rules, depth) => {
    const names = ['in', ...Array.from({ length: depth }, (_, i) => `c${i}`)];
    const way = names.slice(1).map((name, i) => rule(names[i] ?? '', { jump: { target: name } }));
    const last = rule(names.at(-1) ?? '', match('invalid'), drop);
    return dropped(...rules.map(([name, expr]) => rule(name, ...expr)), ...way, last) !== undefined;
  }),
);
