import fc from 'fast-check';
import { fromBytes } from '../../src/core/address.ts';
import type {
  Destination,
  ForwardingMethod,
  SchedulerBit,
  ServiceConfig,
  ServiceId,
} from '../../src/core/kernel-state.ts';

const record = <T>(model: { [K in keyof T]: fc.Arbitrary<T[K]> }) =>
  fc.record(model, { noNullPrototype: true }) as fc.Arbitrary<T>;

/** Everything that IPVS can hold, well beyond what pools ask for. */
const bytes = (length: number) => fc.uint8Array({ minLength: length, maxLength: length });

export const familyArb = fc.constantFrom<'ipv4' | 'ipv6'>('ipv4', 'ipv6');
export const addressArb = (family: 'ipv4' | 'ipv6') => bytes(family === 'ipv4' ? 4 : 16).map(fromBytes);

const port = fc.integer({ min: 1, max: 65535 });
const u32 = fc.integer({ min: 0, max: 2 ** 32 - 1 });

export const serviceIdArb = (family: 'ipv4' | 'ipv6'): fc.Arbitrary<ServiceId> =>
  record({ vip: addressArb(family), port, protocol: fc.constantFrom('tcp', 'udp') });

export const configArb = (family: 'ipv4' | 'ipv6'): fc.Arbitrary<ServiceConfig> =>
  record({
    scheduler: fc.string({ unit: fc.constantFrom(...'abcz09_-'), minLength: 1, maxLength: 15 }),
    schedulerBits: fc.subarray<SchedulerBit>(['flag-1', 'flag-2', 'flag-3']),
    persistenceSeconds: fc.oneof(fc.constant(0), u32),
    persistencePrefix: fc.integer({ min: 1, max: family === 'ipv4' ? 32 : 128 }),
    onePacket: fc.boolean(),
  });

export const destinationArb = (family: 'ipv4' | 'ipv6'): fc.Arbitrary<Destination> =>
  record({
    address: addressArb(family),
    port,
    method: fc.constantFrom<ForwardingMethod>('masquerading', 'local', 'tunneling', 'gatewaying', 'bypass'),
    weight: fc.integer({ min: -(2 ** 31), max: 2 ** 31 - 1 }),
    upperThreshold: u32,
    lowerThreshold: u32,
  });
