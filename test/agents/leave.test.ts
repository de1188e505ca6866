import t, { type Test } from 'tap';
import type { ControllerClient } from '../../agents/controller-client.ts';
import { openMemory } from '../../agents/memory.ts';
import { startAgent } from '../../agents/run.ts';
import { createSignal, until } from '../../src/loop.ts';
import type { Report, ReportAnswer } from '../../src/schema.ts';
import { folder, patienceMs } from '../api/site.ts';
import { addressOn, createFakeKernel, createWorld } from '../fake-kernel.ts';

/** An agent whose controller answers what the test says; each report is kept. */
function startLeaving(t: Test, answer: (report: Report, count: number) => Partial<ReportAnswer>) {
  const reports: Report[] = [];
  const reported = createSignal();
  const controller: ControllerClient = {
    desired: (_, abort) =>
      new Promise((_, reject) => {
        if (abort.aborted) reject(new Error('aborted'));
        abort.addEventListener('abort', () => reject(new Error('aborted')));
      }),
    report: async (report) => {
      reports.push(report);
      reported.notify();
      return { revision: 1, serving: 0, connections: 0, ...answer(report, leavingOf().length) };
    },
    renew: async () => {},
    close: async () => {},
  };
  const addresses = [addressOn('lo', '127.0.0.1', 8), addressOn('eth0', '192.0.2.11')];
  const kernel = createFakeKernel(createWorld({ addresses }));
  const none = () => {};
  const agent = startAgent({
    host: {
      kernel,
      memory: openMemory(folder(t)),
      interface: undefined,
      allowedVips: undefined,
      reserved: () => new Map(),
    },
    controller,
    machineId: 'm',
    speedMbit: undefined,
    log: { info: none, warn: none, error: none },
  });
  t.teardown(agent.stop);
  const leavingOf = () => reports.filter(({ leaving }) => leaving);
  return {
    agent,
    leavingOf,
    /** Waits for the report of this number. */
    count: (wanted: number) => until(reported, () => reports.length >= wanted || undefined, patienceMs),
  };
}

t.test(
  'an agent that leaves says so at once, and is done after three answers without serving and connections',
  async (t) => {
    const { agent, leavingOf, count } = startLeaving(t, () => ({}));
    await count(1);
    t.equal(leavingOf().length, 0, 'not before it leaves');
    const began = performance.now();
    await agent.leave(patienceMs);
    t.equal(leavingOf().length, 3);
    t.ok(performance.now() - began < patienceMs);
  },
);

t.test('answers that tell of destinations or connections are waited for, and the three begin anew', async (t) => {
  const answers: Partial<ReportAnswer>[] = [{ serving: 1 }, { connections: 1 }, {}, {}, { connections: 1 }];
  const { agent, leavingOf } = startLeaving(t, (_, count) => answers[count - 1] ?? {});
  await agent.leave(patienceMs);
  t.equal(leavingOf().length, answers.length + 3);
});

t.test('a controller that does not answer is waited for no longer than the time that was given', async (t) => {
  const { agent, leavingOf } = startLeaving(t, () => {
    throw new Error('no controller');
  });
  const began = performance.now();
  await agent.leave(300);
  t.ok(performance.now() - began >= 295);
  t.ok(leavingOf().length <= 2);
  const busy = startLeaving(t, () => ({ connections: 7 }));
  await busy.agent.leave(300);
  t.ok(busy.leavingOf().length > 0);
});
