import type { SchedulerBit, ServiceId } from '../../src/core/kernel-state.ts';
import type { Step } from '../../src/core/steps.ts';
import { maskLength } from '../../src/schema.ts';

/** The step that a command line stands for: the reverse of commandOf, for the commands that scenarios are written in. */
export function parseCommand(line: string): Step {
  const [program, ...words] = line.split(' ');
  switch (program) {
    case 'ipvsadm':
      return parseIpvsadm(words);
    case 'ip':
      return parseIp(words.filter((word) => word !== '-6'));
    case 'sysctl': {
      const [key = '', value = ''] = (words[1] ?? '').split('=');
      return { op: 'set-sysctl', key, value };
    }
    case 'arping':
      return { op: 'announce', address: words[5] ?? '', interface: words[4] ?? '' };
    case 'ndsend':
      return { op: 'announce', address: words[0] ?? '', interface: words[1] ?? '' };
    default:
      throw new Error(`no scenario knows the command: ${line}`);
  }
}

function parseIpvsadm([verb, protocol, endpoint = '', ...words]: string[]): Step {
  const [vip, port] = parseEndpoint(endpoint);
  const service: ServiceId = { vip, port, protocol: protocol === '-u' ? 'udp' : 'tcp' };
  const option = (flag: string) => (words.includes(flag) ? words[words.indexOf(flag) + 1] : undefined);
  const number = (flag: string) => Number(option(flag) ?? 0);
  if (verb === '-A' || verb === '-E') {
    const mask = option('-M');
    const config = {
      scheduler: option('-s') ?? 'wlc',
      schedulerBits: (option('-b')?.split(',') ?? []) as SchedulerBit[],
      persistenceSeconds: number('-p'),
      persistencePrefix:
        (mask && maskLength(mask.includes('.') ? mask : Number(mask))) || (vip.includes(':') ? 128 : 32),
      onePacket: words.includes('-o'),
    };
    return { op: verb === '-A' ? 'add-service' : 'set-service', service, config };
  }
  if (verb === '-D') return { op: 'delete-service', service };
  const [address, at] = parseEndpoint(option('-r') ?? '');
  if (verb === '-d') return { op: 'delete-destination', service, address, port: at };
  const method = words.includes('-m') ? 'masquerading' : words.includes('-i') ? 'tunneling' : 'gatewaying';
  const limits = { upperThreshold: number('-x'), lowerThreshold: number('-y') };
  const destination = { address, port: at, method, weight: number('-w'), ...limits } as const;
  return { op: verb === '-a' ? 'add-destination' : 'set-destination', service, destination };
}

function parseIp([, verb, cidr = '', , name = '', ...rest]: string[]): Step {
  const [address = '', prefix] = cidr.split('/');
  const where = { address, prefix: Number(prefix), interface: name };
  if (verb === 'del') return { op: 'delete-address', ...where };
  return { op: 'add-address', ...where, role: rest.includes('nodad') || name === 'lo' ? 'real-server' : 'director' };
}

function parseEndpoint(text: string): [address: string, port: number] {
  const at = text.lastIndexOf(':');
  return [text.slice(0, at).replace(/^\[|\]$/g, ''), Number(text.slice(at + 1))];
}
