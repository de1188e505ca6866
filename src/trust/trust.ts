import type { Socket } from 'node:net';
import { join } from 'node:path';
import { notUnicast, withPort } from '../core/address.ts';
import { type Audit, openAudit } from '../store/audit.ts';
import type { KeyBook } from './key-book.ts';
import { openKeys, openTlsKeys } from './open.ts';
import { namesOfHost, openServerIdentity, type ServerIdentity } from './server-identity.ts';

/** How the controller knows who speaks to it. */
export interface Trust {
  keys: KeyBook;
  /** Who changed what. */
  audit: Audit;
  /** Who was refused: apart, so that no stranger pushes out what was changed. */
  refused: Audit;
  /** Whether this connection came over the socket that only root may open. */
  isRoots(socket: Socket): boolean;
}

/** Where and as whom agents find the controller. */
export interface Reach {
  /** URLs that agents may use, best first. */
  urls(): string[];
  /** Certificate of its authority, as PEM, and that certificate's SHA-256. */
  authority: string;
  fingerprint: string;
}

export interface TrustOptions {
  stateDir: string;
  /** Address and port that it listens on. */
  host: string;
  port: number;
  /** Further names of this host. */
  tlsNames: readonly string[];
  /** Of this host, where it listens on all. */
  ownAddresses(): string[];
  log: { error(keys: object, message: string): void };
}

export interface OpenTrust {
  trust: Trust;
  /** Told each connection of root. */
  came(socket: Socket): void;
  /** Both only beyond loopback. */
  identity: ServerIdentity | undefined;
  reach: Reach | undefined;
}

/** Opens tokens and audit log, and beyond loopback the authority and the certificate; makes what is not there yet. */
export async function openTrust({
  stateDir,
  host,
  port,
  tlsNames,
  ownAddresses,
  log,
}: TrustOptions): Promise<OpenTrust> {
  const roots = new WeakSet<Socket>();
  const failed = (error: Error) => log.error({ err: error }, 'the audit log cannot be written');
  const trust: Trust = {
    keys: await openKeys(stateDir, (error) => log.error({ err: error }, 'a change of the tokens could not be saved')),
    audit: openAudit({ path: join(stateDir, 'audit.log'), failed }),
    refused: openAudit({ path: join(stateDir, 'refused.log'), failed }),
    isRoots: (socket) => roots.has(socket),
  };
  const came = (socket: Socket) => void roots.add(socket);
  if (notUnicast(host) === 'a loopback address') return { trust, came, identity: undefined, reach: undefined };
  const identity = await openServerIdentity(
    openTlsKeys(stateDir),
    () => namesOfHost(host, tlsNames),
    (error) => log.error({ err: error }, 'a new certificate is used, and could not be saved'),
  );
  const urls = () =>
    (notUnicast(host) === 'an unspecified address' ? ownAddresses() : [host]).map(
      (of) => `https://${withPort(of, port)}`,
    );
  const { authority, fingerprint } = identity;
  return { trust, came, identity, reach: { urls, authority, fingerprint } };
}
