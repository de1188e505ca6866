import { deepStrictEqual, equal, ok } from 'node:assert/strict';
import fc from 'fast-check';
import t from 'tap';
import type { Step } from '../../src/core/steps.ts';
import { applySteps } from '../../src/kernel/apply.ts';
import { KernelError } from '../../src/kernel/errors.ts';
import type { IpvsStep } from '../../src/kernel/ipvs-encode.ts';
import { BATCH } from '../../src/kernel/netlink.ts';
import { holds } from '../property.ts';

const config = { scheduler: 'wlc', schedulerBits: [], persistenceSeconds: 0, persistencePrefix: 32, onePacket: false };
const service = (port: number) => ({ vip: '192.0.2.100', port, protocol: 'tcp' as const });
const destination = (port: number, host: number) => ({
  address: `192.0.2.${host}`,
  port,
  method: 'gatewaying' as const,
  weight: 1,
  upperThreshold: 0,
  lowerThreshold: 0,
});

const stepArb: fc.Arbitrary<Step> = fc
  .tuple(fc.nat(6), fc.integer({ min: 80, max: 82 }), fc.integer({ min: 11, max: 13 }))
  .map(([kind, port, host]): Step => {
    const id = service(port);
    const { address } = destination(port, host);
    switch (kind) {
      case 0:
        return { op: 'add-service', service: id, config };
      case 1:
        return { op: 'set-service', service: id, config };
      case 2:
        return { op: 'delete-service', service: id };
      case 3:
        return { op: 'add-destination', service: id, destination: destination(port, host) };
      case 4:
        return { op: 'set-destination', service: id, destination: destination(port, host) };
      case 5:
        return { op: 'delete-destination', service: id, address, port };
      default:
        return { op: 'set-sysctl', key: 'net.ipv4.ip_forward', value: String(port) };
    }
  });

const thing = (step: IpvsStep) =>
  'destination' in step
    ? `${step.service.port} ${step.destination.address}`
    : 'address' in step
      ? `${step.service.port} ${step.address}`
      : `${step.service.port}`;

holds(
  t,
  'every step is applied once and in order, in batches in which nothing comes twice',
  fc.asyncProperty(fc.array(stepArb, { maxLength: 40 }), async (steps) => {
    const applied: Step[] = [];
    const failures = await applySteps(steps, {
      ipvs(batch) {
        const things = batch.map(thing);
        equal(new Set(things).size, things.length);
        for (const [index, step] of batch.entries())
          if (step.op === 'delete-service')
            ok(batch.slice(0, index).every((before) => before.service.port !== step.service.port));
        applied.push(...batch);
        return [];
      },
      other: (step) => void applied.push(step),
    });
    deepStrictEqual(applied, steps);
    deepStrictEqual(failures, []);
  }),
  50,
);

t.test('many steps go in as few batches as there may be', async (t) => {
  const sizes: number[] = [];
  const steps = Array.from({ length: 300 }, (_, n): Step => ({ op: 'add-service', service: service(n + 1), config }));
  const ipvs = (batch: readonly IpvsStep[]) => {
    sizes.push(batch.length);
    return [];
  };
  await applySteps(steps, { ipvs, other: () => {} });
  t.strictSame(sizes, [BATCH, BATCH, 300 - 2 * BATCH]);
});

t.test('a failure is one of its step, or of all that were to go with it, and the others are applied', async (t) => {
  const steps: Step[] = [
    { op: 'set-sysctl', key: 'a.b', value: '1' },
    { op: 'delete-service', service: service(80) },
    { op: 'delete-service', service: service(81) },
    { op: 'set-sysctl', key: 'a.c', value: '1' },
  ];
  const applied: Step[] = [];
  const failures = await applySteps(steps, {
    ipvs() {
      throw new KernelError('EPERM', 'no');
    },
    other(step) {
      if (step === steps[0]) throw new KernelError('EROFS', 'read-only');
      applied.push(step);
    },
  });
  t.strictSame(failures, [
    { step: steps[0], code: 'EROFS', message: 'read-only' },
    { step: steps[1], code: 'EPERM', message: 'no' },
    { step: steps[2], code: 'EPERM', message: 'no' },
  ]);
  t.strictSame(applied, [steps[3]]);
});

t.test('an error that is not the kernel’s is no failed step', async (t) => {
  const broken = () => {
    throw new TypeError('a mistake in this program');
  };
  const step: Step = { op: 'set-sysctl', key: 'a.b', value: '1' };
  await t.rejects(applySteps([step], { ipvs: broken, other: broken }), { name: 'TypeError' });
});
