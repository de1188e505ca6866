import { rmSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import { createWorld, snapshot } from '../fake-kernel.ts';
import { isForgotten, ofIpvs, rs1, rs2, runningSite, startSite, vip, weights } from './site.ts';

t.test('a restart changes nothing for unchanged pools, however long the agents are silent', async (t) => {
  const before = await runningSite(t);
  const happened = before.types();
  await before.stop();
  const text = snapshot(before.kernel.world);
  const site = startSite(t, before);
  await site.waitFor('the first look', () => true);
  t.strictSame(site.lines(), []);
  await site.waitFor('the round of reports is over', (last) => last.settled);
  await site.reconciled();
  t.strictSame(site.lines(), []);
  t.equal(snapshot(site.kernel.world), text);
  const since = site.types().slice(happened.length);
  t.strictSame(
    since,
    ['real-server-unwell', 'real-server-unwell'],
    'that they are silent is all that there is to tell',
  );
});

t.test('a restart that has lost what the agents said waits for them before a weight falls', async (t) => {
  const before = await runningSite(t);
  await before.stop();
  rmSync(join(before.folder, 'agents.json'));
  const site = startSite(t, before);
  await site.waitFor('the first look', ({ held }) => held);
  t.strictSame(weights(site.kernel), { '192.0.2.11': 100, '192.0.2.12': 100 });
  site.report('rs1', rs1.address, vip);
  site.report('rs2', rs2.address, vip);
  await site.reconciled();
  t.strictSame(site.lines(), [], 'both are as fit as before');
});

t.test('a restart lowers a weight after three seconds, though some agents are silent', async (t) => {
  const before = await runningSite(t);
  await before.stop();
  const silent = startSite(t, before);
  silent.report('rs1', rs1.address);
  await silent.waitFor('what must wait is shown', ({ held }) => held);
  t.strictSame(silent.lines(), []);
  await silent.waitFor('rs1 is out', () => weights(silent.kernel)[rs1.address] === 0);
  t.ok(silent.director.last()?.settled);
  t.strictSame(weights(silent.kernel), { '192.0.2.11': 0, '192.0.2.12': 100 });
});

t.test('what was begun before a restart is finished after it: PUT, drain and delete', async (t) => {
  const before = await runningSite(t);
  before.kernel.refuse = () => 'EPERM';
  await before.put({});
  await before.waitFor('it cannot', (last) => last.failures.length > 0);
  await before.stop();
  before.kernel.refuse = () => undefined;
  const site = startSite(t, before);
  await site.reconciled();
  await site.waitFor('forgotten', isForgotten);
  t.equal(snapshot(site.kernel.world), snapshot(createWorld()));
  t.strictSame(site.lines(), ['ipvsadm -D -t 192.0.2.100:80', 'ip addr del 192.0.2.100/32 dev eth0', ...ofIpvs('0')]);
});
