import { setTimeout as sleep } from 'node:timers/promises';
import t, { type Test } from 'tap';
import { makeFrontSite } from './handoff-site.ts';
import type { Result } from './url-scenarios.ts';

const site = await makeFrontSite(t);
const { api, director, rs1 } = site;

const allWell = (t: Test, results: Result[], count: number) => {
  t.same(
    results.filter(({ problem }) => problem !== undefined),
    [],
  );
  t.equal(results.length, count);
};
const jpg = (times: number) => site.scenarios(times, 4, ['jpg']);

t.test('connections that were handed over outlive the front, and it takes up its work', async (t) => {
  const downloads = site.scenarios(4, 4, ['10 MB, read slowly']);
  await site.until(async () => {
    const { stdout } = await director.exec(['ipvsadm', '-Lnc']);
    return [...stdout.matchAll(/ESTABLISHED .* 192\.0\.2\.1[12]:80/g)].length === 4;
  }, 'four downloads at the real servers');
  await site.front().end('SIGKILL');
  site.startFront();
  allWell(t, await downloads, 4);
  await site.waitForLinks(2);
  allWell(t, await jpg(4), 4);
});

t.test('a front that is killed in the midst of handing over leaves no client without an answer', async (t) => {
  for (let round = 0; round < 5; round++) {
    const downloads = site.scenarios(8, 8, ['10 MB']);
    await site.until(async () => {
      const { stdout } = await director.exec(['ipvsadm', '-Lnc']);
      // Entered before the real server has it: some of these are half handed over.
      return [...stdout.matchAll(/ESTABLISHED .* 192\.0\.2\.1[12]:80/g)].length >= 2;
    }, 'some to be handed over');
    await site.front().end('SIGKILL');
    site.startFront();
    const results = await downloads;
    // What was not handed over yet ends with the front, and its client hears so.
    t.same(
      results.filter(({ problem }) => /no end/.test(problem ?? '')),
      [],
    );
    t.comment(results.map(({ ms, problem }) => problem ?? ms));
    await site.waitForLinks(2);
  }
});

t.test('a front that stands still costs a delay, and what was handed over nothing', async (t) => {
  const before = await site.resets(director);
  const downloads = site.scenarios(4, 4, ['10 MB, read slowly']);
  await site.until(async () => {
    const { stdout } = await director.exec(['ipvsadm', '-Lnc']);
    return [...stdout.matchAll(/ESTABLISHED .* 192\.0\.2\.1[12]:80/g)].length >= 4;
  }, 'four downloads at the real servers');
  for (let round = 0; round < 3; round++) {
    const asked = jpg(4);
    process.kill(site.front().pid, 'SIGSTOP');
    await sleep(2000);
    process.kill(site.front().pid, 'SIGCONT');
    allWell(t, await asked, 4);
  }
  allWell(t, await downloads, 4);
  t.equal((await site.resets(director)) - before, 0, 'the director reset nobody');
});

t.test('an agent that stands still costs a delay', async (t) => {
  const agent = site.agents.get(rs1)!;
  process.kill(agent.pid, 'SIGSTOP');
  allWell(t, await jpg(10), 10);
  process.kill(agent.pid, 'SIGCONT');
  await site.waitForLinks(2);
  allWell(t, await jpg(4), 4);
});

t.test('so does one that is killed', async (t) => {
  await site.agents.get(rs1)!.end('SIGKILL');
  allWell(t, await jpg(6), 6);
  site.agents.set(rs1, site.startTaker(rs1));
  await site.waitForLinks(2);
  allWell(t, await jpg(4), 4);
});

t.test('an agent that is stopped finishes first what it was given', async (t) => {
  const downloads = site.scenarios(4, 4, ['10 MB, read slowly']);
  await site.until(async () => {
    const { stdout } = await rs1.exec(['ss', '-Htn', 'state', 'established', 'sport', '=', ':80']);
    return stdout.includes('192.0.2.100:80');
  }, 'a download at rs1');
  t.equal(await site.agents.get(rs1)!.end('SIGTERM'), 0);
  allWell(t, await downloads, 4);
  site.agents.set(rs1, site.startTaker(rs1));
  await site.waitForLinks(2);
});

t.test('a real server that is drained is given nothing more', async (t) => {
  await api.call('PATCH', '/v1/pools/web/real-servers/rs1', { state: 'drain' });
  await site.until(async () => (await api.status('web')).pools.web?.realServers.rs1?.weight === 0, 'rs1 to be out');
  await sleep(1000);
  const before = await site.counters();
  allWell(t, await site.scenarios(4, 2, ['jpg php jpg php jpg']), 4);
  const after = await site.counters();
  t.ok(after.rs1!.tx - before.rs1!.tx < 100_000, 'rs1 sent no image');
  t.ok(after.rs2!.tx - before.rs2!.tx > 1_000_000, 'rs2 sent them all');
});
