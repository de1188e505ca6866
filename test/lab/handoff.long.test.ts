import t, { type Test } from 'tap';
import { makeFrontSite } from './handoff-site.ts';
import { type Result, scenarioNames } from './url-scenarios.ts';

const site = await makeFrontSite(t);
const { director, router, rs1 } = site;
const [times, parallel] = [12, 8];

function allWell(t: Test, results: Result[], count: number): void {
  t.same(
    results.filter(({ problem }) => problem !== undefined),
    [],
  );
  t.equal(results.length, count);
  const ms = results.map((one) => one.ms).sort((a, b) => a - b);
  const slow = results.filter((one) => one.ms > 1000 && !one.name.startsWith('10 MB'));
  t.comment({
    median: ms[ms.length >> 1],
    most: ms.at(-1),
    overOneSecond: slow.map(({ name, ms }) => `${name}: ${ms}`),
  });
}

for (const keepAlive of ['proxy', 'hand-back'] as const)
  t.test(
    `${scenarioNames.length} scenarios, ${times} times, ${parallel} at once (keepAlive ${keepAlive})`,
    async (t) => {
      await site.use({ engine: 'handoff', handoff: { minBytes: 0, keepAlive } });
      const before = await site.resets(director);
      allWell(t, await site.scenarios(times, parallel), times * scenarioNames.length);
      t.equal((await site.resets(director)) - before, 0, 'the director reset nobody');
      t.comment(await site.endFront());
      site.startFront();
      await site.waitForLinks(2);
    },
  );

t.test('3 % of the packets lost and 10 ms each way', async (t) => {
  for (const device of ['eth0', 'client'])
    await router.exec(['tc', 'qdisc', 'replace', 'dev', device, 'root', 'netem', 'delay', '10ms', 'loss', '3%']);
  const names = scenarioNames.filter((name) => !name.startsWith('10 MB'));
  for (const keepAlive of ['proxy', 'hand-back'] as const) {
    await site.use({ engine: 'handoff', handoff: { minBytes: 0, keepAlive } });
    const before = await site.resets(director);
    allWell(t, await site.scenarios(5, parallel, names), 5 * names.length);
    t.comment({ keepAlive, resets: (await site.resets(director)) - before });
  }
  allWell(t, await site.scenarios(1, 2, ['10 MB']), 1);
  for (const device of ['eth0', 'client']) await router.exec(['tc', 'qdisc', 'del', 'dev', device, 'root']);
});

t.test('an agent that stands still and goes on, again and again, costs a delay', async (t) => {
  for (let round = 0; round < 3; round++) {
    const running = site.scenarios(10, 4, ['jpg', 'jpg php jpg php jpg', 'POST']);
    await site.until(async () => true, 'them to begin');
    const { pid } = site.agents.get(rs1)!;
    process.kill(pid, 'SIGSTOP');
    const results = await running;
    process.kill(pid, 'SIGCONT');
    // What it was answering at that moment stands still with it, until it goes on or the client loses its patience.
    const lost = results.filter(({ problem }) => problem !== undefined);
    t.ok(
      lost.every(({ problem }) => /no end within/.test(problem ?? '')),
      JSON.stringify(lost),
    );
    await site.waitForLinks(2);
  }
});
