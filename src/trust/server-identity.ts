import { hostname, networkInterfaces } from 'node:os';
import { isUnspecified } from '../core/address.ts';
import type { Document } from '../store/document.ts';
import { type Identity, isGood, makeAuthority, makeServer } from './certificates.ts';
import type { TlsKeys } from './open.ts';
import { sha256Of } from './pin.ts';

/** What the controller shows of itself over TLS. */
export interface ServerIdentity {
  /** Certificate with its authority's, and the key, as PEM. */
  current(): { cert: string; key: string };
  /** Of the authority, as PEM. */
  authority: string;
  /** SHA-256 of the authority's certificate, hexadecimal: what agents pin. */
  fingerprint: string;
  /** Makes a new certificate where the present one ends soon or lacks a name; whether it did. */
  refresh(): Promise<boolean>;
}

/** Opens it, and makes authority and certificate where there are none. @param names what clients may call this host, now */
export async function openServerIdentity(
  document: Document<TlsKeys>,
  names: () => string[],
  now = Date.now,
): Promise<ServerIdentity> {
  const authority = document.get().authority ?? (await makeAuthority(hostname(), now()));
  if (!document.get().authority) await document.change((keys) => ({ ...keys, authority, server: null }));
  const refresh = async () => {
    const { server } = document.get();
    if (server && isGood(server, authority, names(), now())) return false;
    const made = await makeServer(authority, names(), now());
    await document.change((keys) => ({ ...keys, server: made }));
    return true;
  };
  await refresh();
  return {
    current: () => {
      const { certificate, key } = document.get().server as Identity;
      return { cert: `${certificate}\n${authority.certificate}`, key };
    },
    authority: authority.certificate,
    fingerprint: sha256Of(authority.certificate),
    refresh,
  };
}

/**
 * What clients may call this host: the address it listens on, or all that it has, and its names. Link-local addresses
 * of IPv6 are left out: no URL has them.
 *
 * @param host address to listen on
 */
export function namesOfHost(host: string, further: readonly string[]): string[] {
  const own = Object.values(networkInterfaces())
    .flatMap((list) => list ?? [])
    .map(({ address }) => address)
    .filter((address) => !/^fe[89ab]/i.test(address));
  const addresses = isUnspecified(host) ? own : [host];
  return [...new Set([...addresses, '127.0.0.1', '::1', 'localhost', hostname(), ...further])];
}
