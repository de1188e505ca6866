import { readFileSync } from 'node:fs';

/**
 * Speed of a network card in Mbit/s as its driver says, or undefined: no such card, no cable, or a virtual card that does
 * not say (Documentation/ABI/testing/sysfs-class-net: speed).
 */
export function readCardSpeed(interfaceName: string, root = '/sys/class/net/'): number | undefined {
  try {
    const speed = Number(readFileSync(`${root}${interfaceName}/speed`, 'utf8').trim());
    return Number.isInteger(speed) && speed > 0 ? speed : undefined;
  } catch {
    return undefined;
  }
}
