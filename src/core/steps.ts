import { familyOf, hostPrefix, withPort } from './address.ts';
import type { Destination, ServiceConfig, ServiceId } from './kernel-state.ts';
import { routeKey, serviceKey } from './kernel-state.ts';

/** One change of this host's kernel, as data. Applying one twice is the same as once. */
export type Step =
  | { op: 'add-service' | 'set-service'; service: ServiceId; config: ServiceConfig }
  | { op: 'delete-service'; service: ServiceId }
  | { op: 'add-destination' | 'set-destination'; service: ServiceId; destination: Destination }
  | { op: 'delete-destination'; service: ServiceId; address: string; port: number }
  | { op: 'add-address'; address: string; prefix: number; interface: string; role: AddressRole }
  | { op: 'delete-address'; address: string; prefix: number; interface: string }
  | { op: 'announce'; address: string; interface: string }
  | { op: 'add-route' | 'delete-route'; address: string; interface: string }
  | { op: 'set-sysctl'; key: string; value: string };

/** A director's VIP is defended on the wire (IPv6: DAD); a real server's is silent (nodad). Both are never a source address. */
export type AddressRole = 'director' | 'real-server';

/** The line a person would type for this step (ipvsadm(8), ip-address(8), sysctl(8), arping(8)). */
export function commandOf(step: Step): string {
  switch (step.op) {
    case 'add-service':
    case 'set-service':
      return ['ipvsadm', step.op === 'add-service' ? '-A' : '-E', serviceWords(step.service), configWords(step)].join(
        ' ',
      );
    case 'delete-service':
      return `ipvsadm -D ${serviceWords(step.service)}`;
    case 'add-destination':
    case 'set-destination': {
      const { address, port, method, weight, upperThreshold: upper, lowerThreshold: lower } = step.destination;
      const limits = upper || lower ? ` -x ${upper} -y ${lower}` : '';
      const verb = step.op === 'add-destination' ? '-a' : '-e';
      return `ipvsadm ${verb} ${serviceWords(step.service)} -r ${withPort(address, port)} ${methodFlag[method]} -w ${weight}${limits}`;
    }
    case 'delete-destination':
      return `ipvsadm -d ${serviceWords(step.service)} -r ${withPort(step.address, step.port)}`;
    case 'add-address':
      return `ip ${familyFlag(step.address)}addr add ${step.address}/${step.prefix} dev ${step.interface}${addressWords(step)}`;
    case 'delete-address':
      return `ip ${familyFlag(step.address)}addr del ${step.address}/${step.prefix} dev ${step.interface}`;
    case 'announce':
      return familyOf(step.address) === 'ipv4'
        ? `arping -U -c 3 -I ${step.interface} ${step.address}`
        : `ndsend ${step.address} ${step.interface}`;
    case 'add-route':
    case 'delete-route': {
      const verb = step.op === 'add-route' ? 'add' : 'del';
      return `ip ${familyFlag(step.address)}route ${verb} ${step.address}/${hostPrefix(step.address)} dev ${step.interface} scope link`;
    }
    case 'set-sysctl':
      return `sysctl -w ${step.key}=${step.value}`;
  }
}

/** What the step touches, for grouping failures: a service key, an address or a sysctl. */
export function subjectOf(step: Step): string {
  if ('service' in step) return serviceKey(step.service);
  if (step.op === 'set-sysctl') return step.key;
  return step.op === 'add-route' || step.op === 'delete-route' ? routeKey(step) : step.address;
}

// "local" and "bypass" destinations are never made by hand; ipvsadm has no flag for them.
const methodFlag = { gatewaying: '-g', tunneling: '-i', masquerading: '-m', local: '-g', bypass: '-g' } as const;

const familyFlag = (address: string) => (familyOf(address) === 'ipv6' ? '-6 ' : '');

const serviceWords = (id: ServiceId) => `${id.protocol === 'tcp' ? '-t' : '-u'} ${withPort(id.vip, id.port)}`;

function configWords({ service, config }: { service: ServiceId; config: ServiceConfig }): string {
  const words = [`-s ${config.scheduler}`];
  if (config.persistenceSeconds > 0) {
    words.push(`-p ${config.persistenceSeconds}`);
    const full = familyOf(service.vip) === 'ipv4' ? 32 : 128;
    if (config.persistencePrefix !== full)
      words.push(`-M ${full === 32 ? netmask(config.persistencePrefix) : config.persistencePrefix}`);
  }
  if (config.schedulerBits.length > 0) words.push(`-b ${config.schedulerBits.join(',')}`);
  if (config.onePacket) words.push('-o');
  return words.join(' ');
}

/** Dotted IPv4 netmask of a prefix length. */
export function netmask(prefix: number): string {
  const bits = 2 ** 32 - 2 ** (32 - prefix);
  return [24, 16, 8, 0].map((shift) => Math.floor(bits / 2 ** shift) % 256).join('.');
}

function addressWords(step: { address: string; role: AddressRole }): string {
  if (familyOf(step.address) === 'ipv4') return '';
  return step.role === 'director' ? ' preferred_lft 0' : ' nodad preferred_lft 0';
}
