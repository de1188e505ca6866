import { X509Certificate } from 'node:crypto';
import { canonical } from '../core/address.ts';

/** A certificate and its key, both as PEM. */
export interface Identity {
  certificate: string;
  key: string;
}

const dayMs = 86_400_000;
/** Renewed when less than this is left. */
const renewDays = 90;

/** Whether the certificate is good for these names for a while yet, and was signed by the authority. */
export function isGood(server: Identity, authority: Identity, names: readonly string[], now: number): boolean {
  const certificate = new X509Certificate(server.certificate);
  const signedBy = new X509Certificate(authority.certificate);
  return (
    certificate.verify(signedBy.publicKey) &&
    Date.parse(certificate.validTo) - now > renewDays * dayMs &&
    Date.parse(certificate.validFrom) <= now &&
    hasNames(certificate, names)
  );
}

function hasNames({ subjectAltName = '' }: X509Certificate, names: readonly string[]): boolean {
  const has = new Set(subjectAltName.split(', ').map((name) => canonical(name.replace(/^(DNS|IP Address):/, ''))));
  return names.every((name) => has.has(canonical(name)));
}
