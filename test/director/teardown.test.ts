import t from 'tap';
import { teardown } from '../../src/director/teardown.ts';
import { openState } from '../../src/store/state.ts';
import { addressOn, createFakeKernel, createWorld, snapshot } from '../fake-kernel.ts';
import { rs1, rs2, runningSite, startSite, vip, web } from './site.ts';

t.test(
  'what was there before is adopted: changed only where it differs, strays drained, and put back by teardown',

  async (t) => {
    const first = await runningSite(t);
    await first.stop();
    const { world } = first.kernel;
    const [service] = world.services.values();
    service!.destinations.push({
      ...service!.destinations[0]!,
      address: '192.0.2.77',
      connections: { active: 1, inactive: 0, persistent: 0 },
    });
    world.addresses = [...world.addresses.slice(0, 2), addressOn('eth0', vip)];
    const found = snapshot(world);
    const site = startSite(t, { kernel: createFakeKernel(world) });
    site.report('rs1', rs1.address, vip);
    site.report('rs2', rs2.address, vip);
    await site.put(web());
    await site.reconciled();
    t.strictSame(site.lines(), ['ipvsadm -e -t 192.0.2.100:80 -r 192.0.2.77:80 -g -w 0']);
    t.match(site.director.last()?.state.drains, [{ address: '192.0.2.77', realServer: null, done: false }]);
    await site.stop();
    const told: string[] = [];
    await teardown(site.kernel, openState(site.folder), 'eth0', (line) => told.push(line));
    t.equal(snapshot(world), found);
    t.strictSame(told, ['ipvsadm -e -t 192.0.2.100:80 -r 192.0.2.77:80 -g -w 100']);
  },
);

t.test('what could not be undone is told, and is undone by the next teardown', async (t) => {
  const site = await runningSite(t);
  await site.stop();
  const run = () => teardown(site.kernel, openState(site.folder), 'eth0', () => {});
  site.kernel.refuse = (step) => (step.op === 'delete-address' ? 'EPERM' : undefined);
  await t.rejects(run(), { code: 'TEARDOWN_INCOMPLETE', message: /ip addr del 192\.0\.2\.100\/32 dev eth0: EPERM/ });
  site.kernel.refuse = () => undefined;
  await run();
  t.equal(snapshot(site.kernel.world), snapshot(createWorld()));
  t.match(openState(site.folder).get(), { pools: { web: {} }, ledger: { services: {}, addresses: {} } });
});

t.test('after a reboot there is nothing to undo, and what is there now is somebody else’s', async (t) => {
  const site = await runningSite(t);
  await site.stop();
  site.kernel.boot = 'boot-2';
  const before = snapshot(site.kernel.world);
  await teardown(site.kernel, openState(site.folder), 'eth0', () => t.fail('there is nothing to undo'));
  t.equal(snapshot(site.kernel.world), before);
  t.match(openState(site.folder).get().ledger, { boot: 'boot-2', services: {} });
});
