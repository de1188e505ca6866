import { setTimeout as sleep } from 'node:timers/promises';
import t, { type Test } from 'tap';
import { makeFrontSite } from './handoff-site.ts';
import { ipvs } from './kernel.ts';
import { type Result, scenarioNames } from './url-scenarios.ts';

const site = await makeFrontSite(t);
const { director, rs1, rs2 } = site;

const allWell = (t: Test, results: Result[], count: number) => {
  t.same(
    results.filter(({ problem }) => problem !== undefined),
    [],
  );
  t.equal(results.length, count);
};

t.test('the service sends new connections to the director itself', async (t) => {
  t.same(await ipvs(director), [
    '-A -t 192.0.2.100:80 -s wlc',
    `-a -t 192.0.2.100:80 -r 192.0.2.100:80 -g -w 1`,
    `-a -t 192.0.2.100:80 -r ${rs1.ip}:80 -g -w 0`,
    `-a -t 192.0.2.100:80 -r ${rs2.ip}:80 -g -w 0`,
  ]);
});

for (const keepAlive of ['proxy', 'hand-back'] as const)
  t.test(`whatever a client does, it gets all that it asked for (keepAlive ${keepAlive})`, async (t) => {
    await site.use({ engine: 'handoff', handoff: { minBytes: 0, keepAlive } });
    const before = await site.resets(director);
    allWell(t, await site.scenarios(1, 4), scenarioNames.length);
    t.equal((await site.resets(director)) - before, 0, 'the director reset nobody');
    const { handedOver = 0, givenBack = 0, kept = 0 } = await site.endFront();
    t.comment({ handedOver, givenBack, kept });
    t.ok(handedOver > scenarioNames.length / 2, `${handedOver} were handed over`);
    t.equal(givenBack > 0, keepAlive === 'hand-back', `${givenBack} were given back`);
    site.startFront();
    await site.waitForLinks(2);
  });

t.test('that IPVS can no longer be told of connections is noticed and mended before a client notices', async (t) => {
  const before = await site.resets(director);
  let over = false;
  const asking = site.scenarios(10, 4, ['jpg', '10 MB']).finally(() => {
    over = true;
  });
  let stops = 0;
  while (!over) {
    const { exitCode } = await director.exec(['ipvsadm', '--stop-daemon', 'backup'], { reject: false });
    if (exitCode === 0) stops++;
    await sleep(700);
  }
  allWell(t, await asking, 20);
  t.ok(stops > 2, `stopped ${stops} times`);
  t.equal((await site.resets(director)) - before, 0, 'the director reset nobody');
  const { handedOver = 0 } = await site.endFront();
  t.ok(handedOver > 4, `${handedOver} were handed over all the same`);
  site.startFront();
  await site.waitForLinks(2);
});

t.test('of large images next to nothing leaves through the director', async (t) => {
  const before = await site.counters();
  allWell(t, await site.scenarios(3, 3, ['10 MB']), 3);
  const after = await site.counters();
  const sent = (name: string) => after[name]!.tx - before[name]!.tx;
  // On a machine that is too busy to answer within 500 ms, the director answers.
  const { handedOver = 0 } = await site.endFront();
  t.ok(handedOver > 0);
  t.ok(sent('rs1') + sent('rs2') > handedOver * 10_000_000);
  t.ok(sent('director') < 300_000 + (3 - handedOver) * 11_000_000, `the director sent ${sent('director')} bytes`);
  site.startFront();
  await site.waitForLinks(2);
});
