import { randomUUID } from 'node:crypto';
import { getServers, lookup } from 'node:dns/promises';
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { networkInterfaces } from 'node:os';
import { join } from 'node:path';
import { canonical, isAddress, notUnicast } from '../src/core/address.ts';
import { CodedError } from '../src/errors.ts';

/** Stable identity of this machine: machine-id(5), or one of our own where there is none. */
export function machineId(stateDir: string): string {
  const own = join(stateDir, 'machine-id');
  for (const path of ['/etc/machine-id', own])
    try {
      const id = readFileSync(path, 'utf8').trim();
      if (id) return id;
    } catch {}
  const id = randomUUID().replaceAll('-', '');
  mkdirSync(stateDir, { recursive: true, mode: 0o700 });
  writeFileSync(own, `${id}\n`, { mode: 0o600 });
  return id;
}

/** Addresses of the controller; empty while its name cannot be resolved. */
export async function controllerAddresses(url: string): Promise<string[]> {
  const host = new URL(url).hostname.replace(/^\[|\]$/g, '');
  if (isAddress(host)) return [canonical(host)];
  return lookup(host, { all: true }).then(
    (found) => found.map(({ address }) => canonical(address)),
    () => [],
  );
}

/** Where this host looks up names: as resolv.conf(5) says, and where that is systemd-resolved, as it does. */
export function nameServers(resolved = '/run/systemd/resolve/resolv.conf'): string[] {
  let text = '';
  try {
    text = readFileSync(resolved, 'utf8');
  } catch {}
  const behind = [...text.matchAll(/^nameserver\s+(\S+)/gm)].map(([, server = '']) => server.replace(/%.*$/, ''));
  return [...getServers().map((server) => server.replace(/^\[|\]:\d+$/g, '')), ...behind].map(canonical);
}

/** Throws ON_DIRECTOR when the controller runs on this very host. */
export function refuseOnDirector(addresses: readonly string[]): void {
  const own = new Set(Object.values(networkInterfaces()).flatMap((list) => list?.map(({ address }) => address) ?? []));
  const local = addresses.find((address) => own.has(address) || notUnicast(address) === 'a loopback address');
  if (local)
    throw new CodedError(
      'ON_DIRECTOR',
      `the controller's address ${local} is this host's own: this is the director, and an agent here would silence the VIP's ARP. Name the director itself as a real server in the pool without an agent (LocalNode), or correct "controller"`,
      2,
    );
}
