import t from 'tap';
import { createWorld, snapshot } from '../fake-kernel.ts';
import { isForgotten, ofIpvs, rs1, rs2, runningSite, web, weights } from './site.ts';

t.test(
  'who is dropped by a PUT is quiesced, and deleted once its last connection was gone for three seconds',

  async (t) => {
    const site = await runningSite(t);
    const connect = (active: number) => {
      for (const { destinations } of site.kernel.world.services.values())
        for (const d of destinations) d.connections.active = active;
    };
    connect(1);
    await site.put(web({ rs1 }));
    await site.waitFor('rs2 is quiesced', () => weights(site.kernel)[rs2.address] === 0);
    connect(0);
    const began = performance.now();
    await site.waitFor('rs2 is gone', () => weights(site.kernel)[rs2.address] === undefined);
    t.ok(performance.now() - began >= 2900);
    await site.waitFor('forgotten', ({ state }) => state.drains.length === 0);
    t.strictSame(site.lines(), [
      'ipvsadm -e -t 192.0.2.100:80 -r 192.0.2.12:80 -g -w 0',
      'ipvsadm -d -t 192.0.2.100:80 -r 192.0.2.12:80',
    ]);
    t.strictSame(site.told('drained'), ['rs2 of web is drained']);
    t.strictSame(site.told('drift'), []);
  },
);

t.test('the deadline of a drain cuts what is left', async (t) => {
  const site = await runningSite(t);
  for (const { destinations } of site.kernel.world.services.values())
    for (const d of destinations) d.connections.active = 9;
  await site.put(web({ rs1 }), 700);
  await site.waitFor('rs2 is quiesced', () => weights(site.kernel)[rs2.address] === 0);
  await site.waitFor('rs2 is gone', () => weights(site.kernel)[rs2.address] === undefined);
  await site.reconciled();
});

t.test('a deleted pool goes in order: its services, then the VIP', async (t) => {
  const site = await runningSite(t);
  await site.put({});
  await site.waitFor('forgotten', isForgotten);
  t.strictSame(site.lines(), ['ipvsadm -D -t 192.0.2.100:80', 'ip addr del 192.0.2.100/32 dev eth0', ...ofIpvs('0')]);
  t.equal(snapshot(site.kernel.world), snapshot(createWorld()));
});
