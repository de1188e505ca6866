import t from 'tap';
import { createFakeKernel, createWorld, linkOf, snapshot } from './fake-kernel.ts';
import { kernelCases } from './kernel-cases.ts';

t.test('the fake kernel errs as the real one does', async (t) => {
  for (const { what, given = [], step, code } of kernelCases) {
    const kernel = createFakeKernel();
    t.strictSame(await kernel.apply(given), [], `${what}: what is given`);
    const before = snapshot(kernel.world);
    t.match(await kernel.apply([step]), code ? [{ code, step }] : [], what);
    if (code) t.equal(snapshot(kernel.world), before, `${what}: a refusal changes nothing`);
    else t.strictSame(await kernel.apply([step]), [], `${what}: once more is no failure`);
  }
});

t.test('the fake kernel goes on after a failure, and refuses what it is told to', async (t) => {
  const kernel = createFakeKernel();
  kernel.refuse = (step) => (step.op === 'announce' ? 'EPERM' : undefined);
  const failures = await kernel.apply([
    { op: 'announce', address: '192.0.2.1', interface: 'eth0' },
    { op: 'set-sysctl', key: 'net.ipv4.conf.all.arp_ignore', value: '1' },
  ]);
  t.match(failures, [{ code: 'EPERM', message: /arping -U .*: EPERM/ }]);
  t.equal(kernel.sysctl('net.ipv4.conf.all.arp_ignore'), '1');
});

t.test('an interface that is down asks nobody and announces nothing', async (t) => {
  const kernel = createFakeKernel(createWorld({ links: [linkOf('eth0', { up: false })] }));
  await t.rejects(kernel.whoHas('192.0.2.100', 'eth0'), { code: 'ENETDOWN' });
  t.match(await kernel.apply([{ op: 'announce', address: '192.0.2.1', interface: 'eth0' }]), [{ code: 'ENETDOWN' }]);
});

t.test('what it shows is a copy', async (t) => {
  const kernel = createFakeKernel();
  const before = snapshot(kernel.world);
  kernel.addresses().pop();
  kernel.links().pop();
  (await kernel.services()).set('x', {} as never);
  t.equal(snapshot(kernel.world), before);
  t.equal(kernel.links().length, 3);
});
