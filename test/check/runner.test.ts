import fc from 'fast-check';
import t from 'tap';
import { type KeyedTarget, type RunnerOptions, startRunner } from '../../src/check/runner.ts';
import { checkSchema } from '../../src/check-schema.ts';
import type { Finding, Outcome } from '../../src/core/health.ts';
import type { Target } from '../../src/core/targets.ts';
import { holds } from '../property.ts';
import { fakeClock } from './clock.ts';

const ok: Outcome = { kind: 'ok', words: 'good' };
const refused: Outcome = { kind: 'refused', words: 'refused' };
const broken: Outcome = { kind: 'broken', words: 'no route' };

const target = (key: string, check: object = {}): KeyedTarget => ({
  key,
  target: {
    vip: '192.0.2.100',
    address: key,
    port: 80,
    protocol: 'tcp',
    check: checkSchema.parse({ type: 'tcp', jitterPercent: 0, ...check }),
  },
});

/** A runner whose probes are what `probe` makes of them, and all that it told. */
function run(probe: RunnerOptions['probe'], limit = 100, random = () => 0.5) {
  const clock = fakeClock();
  const told: Finding[] = [];
  const begun: [key: string, at: number][] = [];
  const runner = startRunner({
    probe: (one: Target, signal) => {
      begun.push([one.address, clock.steady()]);
      return probe(one, signal);
    },
    tell: (finding) => told.push(finding),
    clock,
    random,
    limit,
  });
  return { ...clock, runner, told, begun };
}

/** Ends when the time is over, as a probe that gets no answer does. */
const silent: RunnerOptions['probe'] = (_, signal) =>
  new Promise((resolve) => {
    signal.addEventListener('abort', () => resolve({ kind: 'timeout', words: signal.reason.message }));
  });

t.test('probes follow the interval, the first within 200 ms', async (t) => {
  const { runner, pass, begun } = run(async () => ok);
  runner.add([target('a')]);
  await pass(3200);
  t.strictSame(
    begun.map(([, at]) => at),
    [100, 1100, 2100, 3100],
  );
});

t.test('one finding for what does not change; the fall is told when it is one, and the rise', async (t) => {
  let outcome = ok;
  const { runner, pass, told } = run(async () => outcome);
  runner.add([target('a')]);
  await pass(5000);
  t.match(told, [{ key: 'a', health: { verdict: 'up', words: 'good' }, at: 1_700_000_000_100 }]);
  outcome = refused;
  await pass(2000);
  t.equal(told.length, 1);
  await pass(1000);
  t.match(told[1], { health: { verdict: 'down', hard: true, words: 'refused' } });
  outcome = ok;
  await pass(2000);
  t.match(told[2], { health: { verdict: 'up', hard: false } });
  t.equal(told.length, 3);
});

t.test('what was found before this process began goes on', async (t) => {
  const { runner, pass, told } = run(async () => refused);
  runner.add([{ ...target('a'), before: { verdict: 'up', hard: false, words: 'good' } }]);
  await pass(2150);
  t.match(told, [{ health: { verdict: 'down' } }]);
});

t.test('a probe without an answer is ended by its time', async (t) => {
  const { runner, pass, told, begun } = run(silent);
  runner.add([target('a', { fall: 1, timeoutMs: 300 })]);
  await pass(399);
  t.strictSame(told, []);
  await pass(1);
  t.match(told, [{ health: { verdict: 'down', hard: false, words: 'no answer in 300 ms' } }]);
  await pass(700);
  t.equal(begun.length, 2);
});

t.test('one that takes longer than the interval is not begun twice, and the next follows at once', async (t) => {
  const { runner, pass, begun } = run(silent);
  runner.add([target('a', { intervalMs: 100, timeoutMs: 250 })]);
  await pass(1000);
  t.strictSame(
    begun.map(([, at]) => at),
    [50, 300, 550, 800],
  );
});

t.test('one that never ends is given up, and says nothing of the server', async (t) => {
  const { runner, pass, told, begun } = run(() => new Promise(() => {}));
  runner.add([target('a')]);
  await pass(1600);
  t.equal(begun.length, 2);
  t.strictSame(told, []);
  t.match(runner.count(), { probes: 1, broken: 1, words: /did not end/ });
});

t.test('broken probes change no health, and are counted', async (t) => {
  let outcome = ok;
  const { runner, pass, told } = run(async () => {
    if (outcome.kind === 'broken') throw new Error('no route');
    return outcome;
  });
  runner.add([target('a')]);
  await pass(2150);
  t.strictSame(runner.count(), { probes: 3, broken: 0, words: '' });
  outcome = broken;
  await pass(5000);
  t.equal(told.length, 1);
  t.match(runner.count(), { probes: 5, broken: 5, words: /no route/ });
  t.strictSame(runner.count(), { probes: 0, broken: 0, words: '' });
});

t.test('what is removed is ended and told no more; added again it begins anew', async (t) => {
  let aborted = 0;
  const { runner, pass, told, begun } = run(async (one, signal) => {
    const outcome = await silent(one, signal);
    aborted++;
    return outcome;
  });
  runner.add([target('a', { fall: 1 })]);
  await pass(200);
  runner.remove(['a', 'never']);
  await pass(5000);
  t.equal(aborted, 1);
  t.strictSame(told, []);
  t.equal(begun.length, 1);
  runner.add([target('a', { fall: 1 }), target('b')]);
  runner.add([target('a', { fall: 1 })]);
  await pass(900);
  t.equal(begun.length, 3);
  t.match(told, [
    { key: 'a', health: { verdict: 'down' } },
    { key: 'b', health: { verdict: 'unknown' } },
  ]);
  runner.stop();
  await pass(5000);
  t.equal(begun.length, 3);
});

holds(
  t,
  'never two of one target, never more than the limit, and none is forgotten',
  fc.asyncProperty(
    fc.integer({ min: 1, max: 5 }),
    fc.array(fc.tuple(fc.integer({ min: 50, max: 300 }), fc.integer({ min: 1, max: 400 })), {
      minLength: 1,
      maxLength: 12,
    }),
    fc.infiniteStream(fc.double({ min: 0, max: 1, maxExcluded: true, noNaN: true })),
    async (limit, all, stream) => {
      const running = new Set<string>();
      const took = new Map(all.map(([, ms], i) => [`t${i}`, ms]));
      let wrong = 0;
      const { runner, pass, begun, after } = run(
        (one) => {
          if (running.has(one.address) || running.size >= limit) wrong++;
          running.add(one.address);
          return new Promise((resolve) => {
            after(took.get(one.address) ?? 0, () => {
              running.delete(one.address);
              resolve(ok);
            });
          });
        },
        limit,
        () => stream.next().value ?? 0,
      );
      runner.add(
        all.map(([intervalMs], i) => target(`t${i}`, { intervalMs, timeoutMs: intervalMs * 20, jitterPercent: 20 })),
      );
      await pass(200 + (12 * 400) / limit);
      if (new Set(begun.map(([key]) => key)).size < all.length) wrong++;
      runner.stop();
      t.equal(wrong, 0);
    },
  ),
  30,
);
