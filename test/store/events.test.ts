import t from 'tap';
import type { Event } from '../../src/schema.ts';
import { createEvents } from '../../src/store/events.ts';

t.test('an event has an id that grows, a time, a type, words, and what it is about', async (t) => {
  const logged: Event[] = [];
  let now = Date.UTC(2025, 0, 2, 3, 4, 5);
  const events = createEvents(
    (event) => logged.push(event),
    () => now,
  );
  events.add('drift', 'somebody changed it', { vip: '192.0.2.100' });
  now -= 5000;
  events.add('drained', 'rs1 is drained', { pool: 'web', realServer: 'rs1' });
  const [first, second] = events.since();
  t.match(first, {
    time: '2025-01-02T03:04:05.000Z',
    type: 'drift',
    message: 'somebody changed it',
    vip: '192.0.2.100',
  });
  t.match(second, { time: '2025-01-02T03:04:00.000Z', type: 'drained', pool: 'web', realServer: 'rs1' });
  t.ok(second!.id > first!.id, 'also when the clock goes back');
  t.strictSame(logged, [first, second]);
});

t.test('a reader goes on after the last event that it saw', async (t) => {
  const events = createEvents(() => {});
  for (const word of ['a', 'b', 'c']) events.add('x', word);
  const [a, , c] = events.since();
  t.strictSame(
    events.since(a!.id).map(({ message }) => message),
    ['b', 'c'],
  );
  t.strictSame(events.since(c!.id), []);
  t.equal(events.since(0).length, 3, 'an id from before what is kept gives all that is kept');
});

t.test('ids go on growing over a restart', async (t) => {
  let now = 1_700_000_000_000;
  const before = createEvents(
    () => {},
    () => now,
  );
  for (let i = 0; i < 900; i++) before.add('x', '');
  now += 1;
  const after = createEvents(
    () => {},
    () => now,
  );
  after.add('x', '');
  t.ok(after.since()[0]!.id > before.since().at(-1)!.id);
  t.ok(Number.isSafeInteger(after.since()[0]!.id));
});

t.test('only the last ones are kept', async (t) => {
  const events = createEvents(() => {}, Date.now, 3);
  for (let i = 0; i < 10; i++) events.add('x', String(i));
  t.strictSame(
    events.since().map(({ message }) => message),
    ['7', '8', '9'],
  );
});

t.test('whoever waits is woken by the next event', async (t) => {
  const events = createEvents(() => {});
  const waiting = [events.added.next(10_000), events.added.next(10_000)];
  events.add('x', 'now');
  t.strictSame(await Promise.all(waiting), [true, true]);
});
