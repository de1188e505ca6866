import { X509Certificate } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { createSecureContext, rootCertificates, type SecureContext } from 'node:tls';

/** Where distributions keep the certificates that the host trusts: Debian, Red Hat, SUSE, Alpine (Go, crypto/x509/root_linux.go). */
const places = [
  '/etc/ssl/certs/ca-certificates.crt',
  '/etc/pki/tls/certs/ca-bundle.crt',
  '/etc/ssl/ca-bundle.pem',
  '/etc/pki/ca-trust/extracted/pem/tls-ca-bundle.pem',
  '/etc/ssl/cert.pem',
];

function systemRoots(): string[] {
  for (const place of places)
    try {
      return [readFileSync(place, 'latin1')];
    } catch {
      // The next one, then.
    }
  return [...rootCertificates];
}

/** Looks at each, as a context leaves out silently what it cannot read. */
function certificatesIn(pem: string): string[] {
  const blocks = pem.match(/-----BEGIN CERTIFICATE-----[^-]*-----END CERTIFICATE-----/g) ?? [];
  if (pem && blocks.length === 0) throw new Error('it has no whole certificate');
  for (const block of blocks) new X509Certificate(block);
  return blocks;
}

/** A context takes milliseconds to make, and a megabyte: the checks of a site share a few. */
const MAX_CONTEXTS = 50;
const contexts = new Map<string, SecureContext>();

/** Trusts the host's certificates, read once, and those in `ca` (PEM). Throws when `ca` cannot be read. */
export function trusting(ca = ''): SecureContext {
  let context = contexts.get(ca);
  if (context) return context;
  context = createSecureContext({ ca: [...systemRoots(), ...certificatesIn(ca)] });
  const [oldest] = contexts.keys();
  if (contexts.size >= MAX_CONTEXTS && oldest !== undefined) contexts.delete(oldest);
  contexts.set(ca, context);
  return context;
}
