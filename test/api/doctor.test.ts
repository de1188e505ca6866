import t, { type Test } from 'tap';
import type { HostFinding, Patient } from '../../src/director/doctor.ts';
import { startController, webPool } from './site.ts';

const finding: HostFinding = {
  host: 'director',
  check: 'syn-flood',
  level: 'warning',
  what: 'is so',
  why: 'it matters',
  fix: ['sysctl -w a.b=1'],
  steps: [{ op: 'set-sysctl', key: 'a.b', value: '1' }],
};

/** An API whose doctor is `answer`, and which is told what it is told. */
async function start(t: Test, answer: () => Promise<HostFinding[]>) {
  const asked: Patient[] = [];
  const c = await startController(t, {
    examine: (patient) => {
      asked.push(patient);
      return answer();
    },
  });
  return { ...c, asked, look: () => c.call('GET', '/v1/doctor') };
}

/** Stops the clock at a time that the test sets. */
function stopClock(t: Test): (at: number) => void {
  const { now } = Date;
  t.teardown(() => {
    Date.now = now;
  });
  return (at) => {
    Date.now = () => at;
  };
}

t.test('the doctor is told all that is known, and steps never leave', async (t) => {
  const c = await start(t, async () => [finding]);
  await c.call('PUT', '/v1/pools/web?waitMs=5000', webPool());
  c.attest('rs1', '192.0.2.11', []);
  const { status, body } = await c.look();
  const { steps: _, ...rest } = finding;
  t.equal(status, 200);
  t.strictSame(body, { findings: [rest] });
  const [patient] = c.asked;
  t.strictSame(Object.keys(patient?.pools ?? {}), ['web']);
  t.equal(patient?.services, c.director.last()?.look.services);
  t.ok(patient?.agents.has('rs1'));
});

t.test('what was found is kept for three seconds, also while it is being looked for', async (t) => {
  const c = await start(t, async () => [finding]);
  const at = stopClock(t);
  at(1_000_000);
  await Promise.all([c.look(), c.look()]);
  at(1_003_000);
  await c.look();
  t.equal(c.asked.length, 1);
  at(1_003_001);
  await c.look();
  t.equal(c.asked.length, 2);
  at(900_000);
  await c.look();
  t.equal(c.asked.length, 3, 'a clock that is set back keeps nothing for ever');
});

t.test('a look that failed is not kept, nor does one that fails late take away a later one', async (t) => {
  const answers: ((findings: HostFinding[] | Error) => void)[] = [];
  const c = await start(
    t,
    () =>
      new Promise((resolve, reject) => {
        answers.push((answer) => (answer instanceof Error ? reject(answer) : resolve(answer)));
      }),
  );
  const asks = async (count: number) => {
    while (answers.length < count) await new Promise((resolve) => setImmediate(resolve));
  };
  const at = stopClock(t);
  at(1_000_000);
  const first = c.look();
  await asks(1);
  at(1_004_000);
  const second = c.look();
  await asks(2);
  answers[0]?.(new Error('no'));
  t.equal((await first).status, 500);
  answers[1]?.([finding]);
  t.equal((await second).status, 200);
  t.equal((await c.look()).status, 200);
  t.equal(answers.length, 2);
  at(1_008_000);
  const third = c.look();
  await asks(3);
  answers[2]?.(new Error('no'));
  t.equal((await third).status, 500);
  const fourth = c.look();
  await asks(4);
  answers[3]?.([]);
  t.strictSame((await fourth).body, { findings: [] });
});
