import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import type { Event } from '../../src/schema.ts';
import { createEvents, type KeptEvents } from '../../src/store/events.ts';
import { openEvents } from '../../src/store/state.ts';
import { folder } from '../api/site.ts';
import { inMemory } from '../documents.ts';

const none = (): KeptEvents => ({ events: [] });
const createInMemory = (logged: (event: Event) => void = () => {}, now = Date.now, limit?: number) =>
  createEvents(inMemory(none()), logged, now, limit);
const words = ({ since }: ReturnType<typeof createInMemory>) => since().map(({ message }) => message);

t.test('an event has an id that grows, a time, a type, words, and what it is about', async (t) => {
  const logged: Event[] = [];
  let now = Date.UTC(2025, 0, 2, 3, 4, 5);
  const events = createInMemory(
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
  const events = createInMemory();
  for (const word of ['a', 'b', 'c']) events.add('x', word);
  const [a, , c] = events.since();
  t.strictSame(
    events.since(a!.id).map(({ message }) => message),
    ['b', 'c'],
  );
  t.strictSame(events.since(c!.id), []);
  t.equal(events.since(0).length, 3, 'an id from before what is kept gives all that is kept');
});

t.test('ids go on growing over a restart, also one that lost all events', async (t) => {
  let now = 1_700_000_000_000;
  const before = createInMemory(undefined, () => now);
  for (let i = 0; i < 900; i++) before.add('x', '');
  now += 1;
  const after = createInMemory(undefined, () => now);
  after.add('x', '');
  t.ok(after.since()[0]!.id > before.since().at(-1)!.id);
  t.ok(Number.isSafeInteger(after.since()[0]!.id));
});

t.test('events outlive a restart, and ids grow on even though the clock went back', async (t) => {
  const dir = folder(t);
  let now = 1_700_000_000_000;
  const start = () =>
    createEvents(
      openEvents(dir),
      () => {},
      () => now,
    );
  const before = start();
  before.add('real-server-out', 'first', { pool: 'web', realServer: 'rs1', vip: '192.0.2.100', agent: 'rs1' });
  before.add('x', 'second');
  await before.stop();
  now -= 86_400_000;
  const after = start();
  t.strictSame(after.since(), before.since());
  after.add('x', 'third');
  t.strictSame(words(after), ['first', 'second', 'third']);
  const ids = after.since().map(({ id }) => id);
  t.strictSame(ids, [...ids].sort());
  t.equal(new Set(ids).size, 3);
  await after.stop();
});

t.test('all that happened is on disk when it has stopped, however much came at once', async (t) => {
  const dir = folder(t);
  const events = createEvents(openEvents(dir), () => {});
  const stored = () => JSON.parse(readFileSync(join(dir, 'events.json'), 'utf8')).events as Event[];
  for (let i = 0; i < 50; i++) events.add('x', String(i));
  const stopped = events.stop();
  events.add('x', 'while it stops');
  await stopped;
  t.strictSame(stored(), events.since());
  t.equal(stored().length, 51);
});

t.test('the first event is written at once, and those of the next second together', async (t) => {
  const memory = inMemory(none());
  const writes: number[] = [];
  const change: typeof memory.change = async (next) => {
    const value = await memory.change(next);
    writes.push(value.events.length);
    return value;
  };
  const events = createEvents({ ...memory, change }, () => {});
  events.add('x', '1');
  await Promise.resolve();
  t.strictSame(writes, [1]);
  for (const word of ['2', '3', '4']) events.add('x', word);
  await events.stop();
  t.strictSame(writes, [1, 4]);
});

t.test('only the last ones are kept, also of those on disk', async (t) => {
  const events = createInMemory(undefined, Date.now, 3);
  for (let i = 0; i < 10; i++) events.add('x', String(i));
  t.strictSame(words(events), ['7', '8', '9']);
  const fewer = createEvents(inMemory({ events: events.since() }), () => {}, Date.now, 2);
  t.strictSame(words(fewer), ['8', '9']);
  fewer.add('x', '10');
  t.strictSame(words(fewer), ['9', '10']);
});

t.test('a disk that is full stops nothing, and what was missed is written with the next event', async (t) => {
  const memory = inMemory(none());
  let full = true;
  const change: typeof memory.change = async (next) => {
    if (full) throw new Error('ENOSPC');
    return memory.change(next);
  };
  const start = () => createEvents({ ...memory, change }, () => {});
  const lost = start();
  lost.add('x', 'lost');
  t.strictSame(words(lost), ['lost'], 'it is told all the same');
  await lost.stop();
  t.strictSame(memory.get(), none());
  const events = start();
  events.add('x', 'missed');
  await Promise.resolve();
  full = false;
  events.add('x', 'next');
  await events.stop();
  t.strictSame(
    memory.get().events.map(({ message }) => message),
    ['missed', 'next'],
  );
});

t.test('a stop without any event ends at once', async (t) => {
  const events = createInMemory();
  await events.stop();
  t.strictSame(events.since(), []);
});

t.test('whoever waits is woken by the next event', async (t) => {
  const events = createInMemory();
  const waiting = [events.added.next(10_000), events.added.next(10_000)];
  events.add('x', 'now');
  t.strictSame(await Promise.all(waiting), [true, true]);
});
