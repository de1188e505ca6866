import t from 'tap';
import { newsOf } from '../../src/check/tell.ts';
import type { Health } from '../../src/core/health.ts';

const health = (more: Partial<Health> = {}): Health => ({
  verdict: 'up',
  hard: false,
  words: 'answered 200',
  streak: { good: 1, bad: 0 },
  ...more,
});
const told = { health: { verdict: 'up', hard: false, words: 'answered 200' }, at: 0 } as const;

t.test('what was never told is news, without the streak', async (t) => {
  t.strictSame(newsOf(health(), undefined, 0), told.health);
});

t.test('what was told is none, whatever the streak', async (t) => {
  t.equal(newsOf(health({ streak: { good: 2, bad: 0 } }), told, 10_000), undefined);
});

for (const more of [{ verdict: 'down' }, { hard: true }, { certificateExpires: 1 }] as const)
  t.test(`${JSON.stringify(more)} is news at once`, async (t) => {
    t.match(newsOf(health(more), told, 1), more);
  });

t.test('words alone are told once a second', async (t) => {
  const other = health({ words: 'answered 204' });
  t.equal(newsOf(other, told, 999), undefined);
  t.match(newsOf(other, told, 1000), { words: 'answered 204' });
});
