import fc from 'fast-check';
import t from 'tap';
import { type Health, nextHealth, type Outcome, unknownHealth } from '../../src/core/health.ts';
import { holds } from '../property.ts';

const check = { rise: 2, fall: 3, refusedAtOnce: false };
type Rules = typeof check;
/** Health after these outcomes, by their kinds. */
const after = (kinds: readonly Outcome['kind'][], rules: Partial<Rules> = {}, health: Health = unknownHealth): Health =>
  kinds.reduce((now, kind) => nextHealth(now, { kind, words: kind }, { ...check, ...rules }), health);

t.test('the first outcome of all decides alone when it is good', async (t) => {
  t.match(after(['ok']), { verdict: 'up', hard: false, words: 'ok' });
  t.match(after(['ok'], { rise: 9 }), { verdict: 'up' });
});

t.test('a server that begins with a failure is unknown until enough outcomes are the same', async (t) => {
  t.match(after(['timeout']), { verdict: 'unknown', words: 'timeout' });
  t.match(after(['timeout', 'ok']), { verdict: 'unknown', words: 'ok' });
  t.match(after(['timeout', 'ok', 'ok']), { verdict: 'up' });
  t.match(after(['timeout', 'timeout', 'timeout']), { verdict: 'down', hard: false, words: 'timeout' });
});

t.test('an outcome of the other kind begins the count anew', async (t) => {
  t.equal(after(['ok', 'timeout', 'timeout', 'ok', 'timeout', 'timeout']).verdict, 'up');
  const down = ['timeout', 'timeout', 'timeout'] as const;
  t.equal(after([...down, 'ok', 'wrong', 'ok']).verdict, 'down');
  t.equal(after([...down, 'ok', 'wrong', 'ok', 'ok']).verdict, 'up');
});

t.test('a refused connection counts at once where that is asked for, and another failure does not', async (t) => {
  const rules = { refusedAtOnce: true };
  t.match(after(['ok', 'refused'], rules), { verdict: 'down', hard: true });
  t.equal(after(['ok', 'unreachable'], rules).verdict, 'up');
  t.equal(after(['ok', 'refused']).verdict, 'up');
  t.equal(after(['ok', 'refused', 'ok'], rules).verdict, 'down', 'and it comes back as slowly as ever');
});

t.test('refused and unreachable leave no doubt; the newest failure of a server that is down tells', async (t) => {
  for (const kind of ['refused', 'unreachable'] as const) {
    t.match(after([kind, kind, kind]), { verdict: 'down', hard: true, words: kind });
    t.equal(after([kind, kind]).hard, false, 'not before it is down');
  }
  t.match(after(['timeout', 'wrong', 'refused']), { verdict: 'down', hard: true, words: 'refused' });
  t.match(after(['refused', 'refused', 'refused', 'wrong']), { verdict: 'down', hard: false, words: 'wrong' });
  t.match(after(['refused', 'refused', 'refused', 'ok']), { verdict: 'down', hard: true, words: 'refused' });
  t.match(after(['refused', 'refused', 'refused', 'ok', 'ok']), { verdict: 'up', hard: false, words: 'ok' });
});

t.test('words of an outcome that does not decide are not told', async (t) => {
  t.equal(after(['ok', 'timeout']).words, 'ok');
});

t.test('a probe that could not be made says nothing', async (t) => {
  const up = after(['ok', 'timeout']);
  t.equal(after(['broken', 'broken', 'broken'], {}, up), up);
  t.equal(after(['broken'], {}, unknownHealth), unknownHealth);
});

t.test('the certificate’s end is that of the last certificate that was shown', async (t) => {
  const shown = nextHealth(unknownHealth, { kind: 'wrong', words: '', certificateExpires: 7 }, check);
  t.equal(shown.certificateExpires, 7);
  t.equal(nextHealth(shown, { kind: 'timeout', words: '' }, check).certificateExpires, 7);
  t.equal(nextHealth(shown, { kind: 'ok', words: '', certificateExpires: 8 }, check).certificateExpires, 8);
  t.notOk('certificateExpires' in after(['ok']));
});

const kindArb = fc.constantFrom<Outcome['kind'][]>(
  'ok',
  'ok',
  'ok',
  'refused',
  'unreachable',
  'timeout',
  'wrong',
  'broken',
);
const rulesArb = fc.record({
  rise: fc.integer({ min: 1, max: 5 }),
  fall: fc.integer({ min: 1, max: 5 }),
  refusedAtOnce: fc.boolean(),
});

holds(
  t,
  'down only after `fall` failures in a row or one refusal that counts at once, up only after `rise` successes in a row or the very first',
  fc.property(rulesArb, fc.array(kindArb, { maxLength: 60 }), (rules, kinds) => {
    let health = unknownHealth;
    const told: Outcome['kind'][] = [];
    return kinds.every((kind) => {
      const was = health.verdict;
      health = nextHealth(health, { kind, words: kind }, rules);
      if (kind !== 'broken') told.push(kind);
      const run = told.length - 1 - told.findLastIndex((k) => (k === 'ok') !== (kind === 'ok'));
      const mayRise = kind === 'ok' && (run >= rules.rise || told.length === 1);
      const mayFall = run >= rules.fall || (rules.refusedAtOnce && kind === 'refused');
      if (kind === 'broken') return health.verdict === was;
      if (kind === 'ok') return health.verdict === (mayRise ? 'up' : was);
      return health.verdict === (mayFall ? 'down' : was);
    });
  }),
  500,
);

holds(
  t,
  'whatever came before, `rise` successes in a row are up and `fall` failures in a row are down',
  fc.property(
    rulesArb,
    fc.array(kindArb, { maxLength: 40 }),
    fc.constantFrom('timeout', 'refused'),
    (rules, kinds, bad) => {
      const health = after(kinds, rules);
      const ups = after(
        Array.from({ length: rules.rise }, () => 'ok' as const),
        rules,
        health,
      );
      const downs = after(
        Array.from({ length: rules.fall }, () => bad as Outcome['kind']),
        rules,
        health,
      );
      return ups.verdict === 'up' && !ups.hard && downs.verdict === 'down' && downs.hard === (bad === 'refused');
    },
  ),
);
