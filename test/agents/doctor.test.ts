import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import t, { type Test } from 'tap';
import { createDoctor, examineAlone, examineHost } from '../../agents/doctor.ts';
import type { Memory } from '../../agents/memory.ts';
import { emptyLedger } from '../../src/core/state.ts';
import { KernelError } from '../../src/kernel/errors.ts';
import { reportSchema, type VipReport } from '../../src/schema.ts';
import { addressOn, createFakeKernel, createWorld } from '../fake-kernel.ts';

const vip = '192.0.2.100';
const good: Record<string, VipReport> = { [vip]: { present: true, suppressed: true } };
const cookies = 'net.ipv4.tcp_syncookies';

function hostKernel() {
  const addresses = [addressOn('lo', '127.0.0.1', 8), addressOn('eth0', '192.0.2.11'), addressOn('lo', vip, 32)];
  const kernel = createFakeKernel(createWorld({ addresses }));
  kernel.world.sysctls.set(cookies, '1');
  return kernel;
}

const memoryOf = (...vips: string[]): Memory => ({
  desired: {
    revision: 1,
    vips: vips.map((one) => ({ vip: one, address: '192.0.2.11', ports: ['80/tcp'] })),
    probers: [],
  },
  ledger: emptyLedger(''),
});

const levels = (findings: readonly { check: string; level: string }[]) =>
  Object.fromEntries(findings.map(({ check, level }) => [check, level]));

t.test('a host that is as it must be', async (t) => {
  t.strictSame(levels(examineHost(hostKernel(), good)), {
    arp: 'ok',
    'rp-filter': 'ok',
    'network-manager': 'ok',
    'syn-flood': 'ok',
    conntrack: 'ok',
  });
});

t.test('a host where all of it is wrong', async (t) => {
  const kernel = hostKernel();
  kernel.world.sysctls.set(cookies, '0');
  kernel.vitals.conntrack = () => ({ count: 10, max: 10 });
  kernel.vitals.managers = (name) => [{ name: 'NetworkManager', interface: name, keeps: false }];
  const findings = examineHost(kernel, { [vip]: { present: true, suppressed: false, unreachable: 'rp_filter=1' } });
  t.strictSame(levels(findings), {
    arp: 'problem',
    'rp-filter': 'problem',
    'network-manager': 'warning',
    'syn-flood': 'problem',
    conntrack: 'problem',
  });
  t.match(findings.find(({ check }) => check === 'network-manager')?.what, /looks after lo/);
});

t.test('a running agent looks every ten seconds, and its words fit a report', async (t) => {
  let now = 0;
  const kernel = hostKernel();
  const failures: string[] = [];
  const doctor = createDoctor(kernel, ({ message }) => failures.push(message), () => now); // biome-ignore format: one line
  const { doctor: told } = doctor.told(good);
  t.match(told, { gateways: ['192.0.2.254'] });
  t.notOk(told?.findings.some((finding) => 'steps' in finding));
  const report = { protocol: 1, machineId: 'm', bootId: 'b', revision: 1, addresses: [], vips: good, doctor: told };
  t.same(reportSchema.parse(report).doctor, told);
  now = 9999;
  t.strictSame(doctor.told(good), {});
  t.match(doctor.told({}), { doctor: { findings: [{ what: /^no VIP/ }] } }, 'and at once when a VIP has changed');
  t.strictSame(doctor.told({}), {});
  now = 19_998;
  t.strictSame(doctor.told({}), {});
  now = 19_999;
  t.ok(doctor.told({}).doctor);

  t.comment('and a kernel that does not answer is told, never thrown');
  now = 40_000;
  kernel.gateways = () => {
    throw new KernelError('ENOBUFS', 'no routes');
  };
  t.strictSame(doctor.told(good), {});
  t.strictSame(failures, ['no routes']);
});

/** A controller that answers. */
async function answering(t: Test): Promise<string> {
  const server = createServer((_, response) => response.end('{}')).listen(0, '127.0.0.1');
  await new Promise((resolve) => server.once('listening', resolve));
  t.teardown(() => server.close());
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
}

t.test('before it joins: the controller answers, near or far, or does not', async (t) => {
  const controller = await answering(t);
  const kernel = hostKernel();
  const look = async (url: string) => (await examineAlone(kernel, { controller: url }, memoryOf()))[0];
  t.match(await look(controller), { check: 'controller', level: 'warning', what: /by a gateway/ });
  kernel.routes = () => [
    { destination: '0.0.0.0', prefix: 0, interface: 'eth0', gateway: true },
    { destination: '127.0.0.0', prefix: 8, interface: 'eth0', gateway: false },
  ];
  t.match(await look(controller), { level: 'ok' });
  t.match(await look(controller.replace('127.0.0.1', 'localhost')), { check: 'controller', level: 'ok' });
  t.match(await look('http://127.0.0.1:1'), { level: 'problem', what: /does not answer: .*ECONNREFUSED/ });
  t.match(await look('http://controller.invalid:7100'), { level: 'problem', what: /its name cannot be resolved/ });
});

t.test('after it has joined: VIPs are judged by what the kernel says now, with or without an agent', async (t) => {
  const kernel = hostKernel();
  const look = async () => levels(await examineAlone(kernel, { controller: 'http://127.0.0.1:1' }, memoryOf(vip)));
  t.match(await look(), { arp: 'problem', 'rp-filter': 'ok' });
  for (const [name, value] of [['arp_ignore', '1'], ['arp_announce', '2']] as const) kernel.world.sysctls.set(`net.ipv4.conf.eth0.${name}`, value); // biome-ignore format: a table
  t.match(await look(), { arp: 'ok' });
  kernel.world.sysctls.set('net.ipv4.conf.all.rp_filter', '1');
  kernel.routes = () => [{ destination: '0.0.0.0', prefix: 0, interface: 'eth1', gateway: true }];
  t.match(await look(), { 'rp-filter': 'problem' });
  kernel.world.addresses = kernel.world.addresses.filter(({ address }) => address !== vip);
  t.match(await look(), { arp: 'problem' });
});
