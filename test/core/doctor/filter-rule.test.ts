import t from 'tap';
import { droppingRule, type FilterRule, reachedRules } from '../../../src/core/doctor/filter-rule.ts';

const rule = (chain: string, more: Partial<FilterRule> = {}): FilterRule => ({
  chain,
  place: chain,
  targets: [],
  onInvalid: [],
  dropsAll: false,
  untracked: [],
  ...more,
});

t.test('rules are reached through any number of jumps, also in a circle', async (t) => {
  const rules = [
    rule('in', { targets: ['a'] }),
    rule('a', { onInvalid: ['b'], targets: ['in'] }),
    rule('b'),
    rule('b'),
    rule('elsewhere', { onInvalid: 'drop' }),
  ];
  t.strictSame(
    reachedRules({ rules, start: ['in', 'empty'] }).map(({ chain }) => chain),
    ['in', 'a', 'b', 'b'],
  );
  t.equal(droppingRule({ rules, start: ['in'] }), undefined);
  t.equal(droppingRule({ rules, start: ['elsewhere'] })?.chain, 'elsewhere');
});

t.test('sending invalid packets to a chain that drops all is dropping them', async (t) => {
  const rules = [rule('in', { onInvalid: ['log', 'bad'] }), rule('log'), rule('bad', { dropsAll: true })];
  t.equal(droppingRule({ rules, start: ['in'] })?.chain, 'in');
  t.equal(droppingRule({ rules: rules.slice(0, 2), start: ['in'] }), undefined);
});
