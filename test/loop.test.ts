import { setImmediate, setTimeout as sleep } from 'node:timers/promises';
import t from 'tap';
import { createSignal, startLoop, until } from '../src/loop.ts';

const never = 1_000_000;
const pause = (_: number) => never;
const fail = (error: Error) => {
  throw error;
};

/** A pass that ends when it is told to. */
function gate() {
  const ends: (() => void)[] = [];
  return {
    passes: () => ends.length,
    pass: () => new Promise<number>((resolve) => ends.push(() => resolve(never))),
    end: () => ends.at(-1)?.(),
  };
}

async function waitFor(condition: () => boolean): Promise<void> {
  while (!condition()) await setImmediate();
}

t.test('nothing runs before the first wake, and many wakes before a pass are one', async (t) => {
  let passes = 0;
  const loop = startLoop(async () => pause(++passes), fail);
  await sleep(5);
  t.equal(passes, 0);
  for (let i = 0; i < 5; i++) loop.wake();
  await waitFor(() => passes > 0);
  await sleep(5);
  t.equal(passes, 1);
  await loop.stop();
});

t.test('passes never overlap; wakes during one are one more after it', async (t) => {
  const { pass, passes, end } = gate();
  const loop = startLoop(pass, fail);
  loop.wake();
  await waitFor(() => passes() === 1);
  for (let i = 0; i < 5; i++) loop.wake();
  await sleep(5);
  t.equal(passes(), 1);
  end();
  await waitFor(() => passes() === 2);
  end();
  await sleep(5);
  t.equal(passes(), 2);
  await loop.stop();
});

t.test('a pass says when the next is due', async (t) => {
  let passes = 0;
  const loop = startLoop(async () => (++passes < 3 ? 1 : never), fail);
  loop.wake();
  await waitFor(() => passes === 3);
  await sleep(10);
  t.equal(passes, 3);
  await loop.stop();
});

t.test('a pass that fails is told, with whether it is news, and is tried again', async (t) => {
  const told: [string, boolean][] = [];
  const failures: unknown[] = [new Error('a'), new Error('a'), new Error('b'), 'b', undefined, new Error('b')];
  const pass = async () => {
    const failure = failures.shift();
    if (failure) throw failure;
    return 1;
  };
  const loop = startLoop(pass, ({ message }, again) => told.push([message, again]), 1);
  loop.wake();
  await waitFor(() => told.length === 5);
  t.strictSame(told, [
    ['a', false],
    ['a', true],
    ['b', false],
    ['b', true],
    ['b', false],
  ]);
  await loop.stop();
});

t.test('stop waits for the pass that is under way, and none begins after', async (t) => {
  const { pass, passes, end } = gate();
  const loop = startLoop(pass, fail);
  loop.wake();
  await waitFor(() => passes() === 1);
  loop.wake();
  let stopped = false;
  const stopping = loop.stop().then(() => {
    stopped = true;
  });
  await sleep(5);
  t.equal(stopped, false);
  end();
  await stopping;
  loop.wake();
  await sleep(5);
  t.equal(passes(), 1);
});

t.test('a wake that has not become a pass when the loop is stopped never does', async (t) => {
  let passes = 0;
  const loop = startLoop(async () => pause(++passes), fail);
  loop.wake();
  await loop.stop();
  await sleep(5);
  t.equal(passes, 0);
  await startLoop(async () => never, fail).stop();
});

t.test('a notification wakes all that wait, and only them', async (t) => {
  const signal = createSignal();
  signal.notify();
  const waiting = [signal.next(10_000), signal.next(10_000)];
  signal.notify();
  t.strictSame(await Promise.all(waiting), [true, true]);
  t.equal(await signal.next(1), false, 'it was too late for that one');
});

t.test('whoever waits gives up after the time that was set, or when aborted', async (t) => {
  const signal = createSignal();
  t.equal(await signal.next(1), false);
  t.equal(await signal.next(10_000, AbortSignal.abort()), false);
  const [first, second] = [new AbortController(), new AbortController()];
  const waiting = signal.next(10_000, first.signal, second.signal);
  second.abort();
  t.equal(await waiting, false);
});

t.test('until waits for a condition, looking again at each notification', async (t) => {
  const signal = createSignal();
  let value: number | undefined;
  const waiting = until(signal, () => value, 10_000);
  signal.notify();
  await setImmediate();
  value = 0;
  signal.notify();
  t.equal(await waiting, 0, 'any value but undefined is one');
  t.equal(await until(signal, () => 'there', 0), 'there');
});

t.test('until gives up with nothing when the time is over, or when aborted', async (t) => {
  const signal = createSignal();
  t.equal(await until(signal, () => undefined, 5), undefined);
  t.equal(await until(signal, () => undefined, 0), undefined);
  t.equal(await until(signal, () => undefined, 10_000, AbortSignal.abort()), undefined);
  const controller = new AbortController();
  const waiting = until(signal, () => undefined, 10_000, controller.signal);
  controller.abort();
  t.equal(await waiting, undefined);
});
