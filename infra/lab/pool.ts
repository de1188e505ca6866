// The pool of the lab and of the machines.
import { vip } from './hosts.ts';

export const poolOf = (realServers: readonly { name: string; ip: string }[]): object => ({
  vip,
  ports: {
    '80/tcp': { policy: 'real-servers', scheduler: 'wlc' },
    '8080/tcp': { policy: 'director' },
  },
  realServers: Object.fromEntries(realServers.map(({ name, ip }) => [name, { address: ip }])),
});

/** Addresses that have a weight on port 80, by what `ipvsadm -Ln` printed. */
export const withWeight = (table: string): string[] =>
  [...table.matchAll(/-> (\S+):80 +Route +(\d+) /g)].flatMap(([, ip = '', weight]) => (Number(weight) > 0 ? [ip] : []));
