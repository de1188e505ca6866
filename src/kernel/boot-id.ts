import { readFileSync, statSync } from 'node:fs';

/** Boot of this machine and network namespace of this process (random(4), namespaces(7)), such as 1b4e…-…:4026531840. */
export function bootId(): string {
  const boot = readFileSync('/proc/sys/kernel/random/boot_id', 'utf8').trim();
  return `${boot}:${statSync('/proc/self/ns/net').ino}`;
}
