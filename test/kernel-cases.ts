import type { Step } from '../src/core/steps.ts';

const service = { vip: '192.0.2.100', port: 80, protocol: 'tcp' } as const;
const config = { scheduler: 'wlc', schedulerBits: [], persistenceSeconds: 0, persistencePrefix: 32, onePacket: false };
const destination = {
  address: '192.0.2.11',
  port: 80,
  method: 'gatewaying',
  weight: 1,
  upperThreshold: 0,
  lowerThreshold: 0,
} as const;
const address = { address: '192.0.2.100', prefix: 32, interface: 'lo' };

const addService: Step = { op: 'add-service', service, config };
const addDestination: Step = { op: 'add-destination', service, destination };
const addAddress: Step = { op: 'add-address', ...address, role: 'real-server' };

/** What a kernel answers to a step after others: an error by its name, or nothing when it is done (or was so already). */
export const kernelCases: { what: string; given?: Step[]; step: Step; code?: string }[] = [
  { what: 'a service', step: addService },
  {
    what: 'a service that is there',
    given: [addService],
    step: { ...addService, config: { ...config, scheduler: 'rr' } },
  },
  {
    what: 'a service of an unknown scheduler',
    step: { ...addService, config: { ...config, scheduler: 'fair' } },
    code: 'ENOENT',
  },
  { what: 'another config for no service', step: { op: 'set-service', service, config }, code: 'ESRCH' },
  { what: 'no service to delete', step: { op: 'delete-service', service } },
  { what: 'a destination', given: [addService], step: addDestination },
  {
    what: 'a destination that is there',
    given: [addService, addDestination],
    step: { ...addDestination, destination: { ...destination, weight: 0 } },
  },
  { what: 'a destination for no service', step: addDestination, code: 'ESRCH' },
  {
    what: 'another weight for no destination',
    given: [addService],
    step: { op: 'set-destination', service, destination },
    code: 'ENOENT',
  },
  { what: 'another weight for no service', step: { op: 'set-destination', service, destination }, code: 'ESRCH' },
  {
    what: 'thresholds the wrong way round',
    given: [addService],
    step: { ...addDestination, destination: { ...destination, upperThreshold: 1, lowerThreshold: 2 } },
    code: 'ERANGE',
  },
  {
    what: 'no destination to delete',
    given: [addService],
    step: { op: 'delete-destination', service, address: '192.0.2.11', port: 80 },
  },
  {
    what: 'no service to delete a destination of',
    step: { op: 'delete-destination', service, address: '192.0.2.11', port: 80 },
  },
  { what: 'an address', step: addAddress },
  { what: 'an address that is there', given: [addAddress], step: addAddress },
  { what: 'an address on no interface', step: { ...addAddress, interface: 'none0' }, code: 'ENODEV' },
  { what: 'no address to delete', step: { op: 'delete-address', ...address } },
  { what: 'a sysctl', step: { op: 'set-sysctl', key: 'net.ipv4.conf.lo.arp_ignore', value: '1' } },
  {
    what: 'a sysctl that no kernel has',
    step: { op: 'set-sysctl', key: 'net.ipv4.conf.none0.arp_ignore', value: '1' },
    code: 'ENOENT',
  },
  {
    what: 'an announcement on no interface',
    step: { op: 'announce', address: '192.0.2.100', interface: 'none0' },
    code: 'ENODEV',
  },
];
