import t from 'tap';
import { createNeighbors } from '../../src/check/neighbors.ts';

t.test('a neighbor that answers at once is known at once, and asked once for all who want to know', async (t) => {
  let asked = 0;
  const answers = createNeighbors(
    async () => {
      asked++;
      return true;
    },
    () => 0,
  );
  t.strictSame(await Promise.all([answers('192.0.2.11'), answers('192.0.2.11')]), [true, true]);
  t.equal(asked, 1);
});

t.test('one that is silent holds nobody up; what came of it is told to the next, for a while', async (t) => {
  let now = 0;
  const ends: ((answers: boolean | undefined) => void)[] = [];
  const answers = createNeighbors(
    () => new Promise((resolve) => ends.push(resolve)),
    () => now,
  );
  t.equal(await answers('192.0.2.11'), undefined);
  t.equal(await answers('192.0.2.11'), undefined, 'still being asked');
  t.equal(ends.length, 1);
  ends[0]?.(false);
  await new Promise(setImmediate);
  t.equal(await answers('192.0.2.11'), false);
  t.equal(ends.length, 2, 'and it is asked again');
  now = 10_000;
  t.equal(await answers('192.0.2.11'), undefined, 'that was too long ago');
});

t.test('what cannot be told is no answer', async (t) => {
  const answers = createNeighbors(
    () => Promise.reject(new Error('no such neighbor')),
    () => 0,
  );
  t.equal(await answers('192.0.2.11'), undefined);
});
