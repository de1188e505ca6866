import { hostname, networkInterfaces } from 'node:os';
import { notUnicast } from '../core/address.ts';
import type { Document } from '../store/document.ts';
import { type Identity, isGood } from './identity.ts';
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

/** Certificates are made once a year: what makes them is not kept in memory for that. */
const maker = () => import('./certificates.ts');

/**
 * Opens it, and makes authority and certificate where there are none.
 *
 * @param names what clients may call this host, now
 * @param unsaved told when a new certificate could not be written: it is used all the same
 */
export async function openServerIdentity(
  document: Document<TlsKeys>,
  names: () => string[],
  unsaved: (error: Error) => void,
  now = Date.now,
): Promise<ServerIdentity> {
  const authority = document.get().authority ?? (await (await maker()).makeAuthority(hostname()));
  if (!document.get().authority) await document.change((keys) => ({ ...keys, authority, server: null }));
  let server = document.get().server;
  const refresh = async () => {
    const wanted = names();
    if (server && isGood(server, authority, wanted, now())) return false;
    const { makeServer } = await maker();
    const made = await makeServer(authority, wanted, now());
    server = made;
    await document.change((keys) => ({ ...keys, server: made })).catch(unsaved);
    return true;
  };
  await refresh();
  return {
    current: () => {
      const { certificate, key } = server as Identity;
      return { cert: `${certificate}\n${authority.certificate}`, key };
    },
    authority: authority.certificate,
    fingerprint: sha256Of(authority.certificate),
    refresh,
  };
}

/**
 * What clients may call this host: the address it listens on, or all that it has but VIPs (which are host addresses:
 * /32, /128), and its names. Link-local addresses of IPv6 are left out: no URL has them.
 *
 * @param host address to listen on
 */
export function namesOfHost(host: string, further: readonly string[]): string[] {
  const own = Object.values(networkInterfaces())
    .flatMap((list) => list ?? [])
    .filter(({ address, cidr }) => !/^fe[89ab]/i.test(address) && !/\/(32|128)$/.test(cidr ?? ''))
    .map(({ address }) => address);
  const addresses = notUnicast(host) === 'an unspecified address' ? own : [host];
  return [...new Set([...addresses, '127.0.0.1', '::1', 'localhost', hostname(), ...further])];
}
