// tsyringe, inside the library, asks for it.
import 'reflect-metadata';
import { randomBytes, webcrypto } from 'node:crypto';
import { isIP } from 'node:net';
import * as x509 from '@peculiar/x509';
import type { Identity } from './identity.ts';

const algorithm = { name: 'ECDSA', namedCurve: 'P-256', hash: 'SHA-256' } as const;
const dayMs = 86_400_000;
/** What browsers and other clients accept at most (CA/Browser Forum, 6.3.2). */
const serverDays = 397;
x509.cryptoProvider.set(webcrypto);

/** A certificate authority of this director's own, good whatever the clock says: it lasts as long as its file does. */
export async function makeAuthority(name: string): Promise<Identity> {
  const keys = await newKeys();
  const certificate = await x509.X509CertificateGenerator.createSelfSigned({
    serialNumber: serialNumber(),
    notBefore: new Date('2000-01-01T00:00:00Z'),
    notAfter: new Date('2099-12-31T23:59:59Z'),
    name: [{ CN: [`dsr-controller on ${name}`] }],
    keys,
    signingAlgorithm: algorithm,
    extensions: [
      new x509.BasicConstraintsExtension(true, 0, true),
      new x509.KeyUsagesExtension(x509.KeyUsageFlags.keyCertSign | x509.KeyUsageFlags.cRLSign, true),
      await x509.SubjectKeyIdentifierExtension.create(keys.publicKey),
    ],
  });
  return identityOf(certificate, keys);
}

/** A server's certificate for these names and addresses, signed by the authority. */
export async function makeServer(authority: Identity, names: readonly string[], now: number): Promise<Identity> {
  const issuer = new x509.X509Certificate(authority.certificate);
  const keys = await newKeys();
  const certificate = await x509.X509CertificateGenerator.create({
    serialNumber: serialNumber(),
    // From the day before: the clocks of two hosts differ.
    notBefore: new Date(now - dayMs),
    notAfter: new Date(now + (serverDays - 1) * dayMs),
    subject: [{ CN: ['dsr-controller'] }],
    issuer: issuer.subject,
    publicKey: keys.publicKey,
    signingKey: await privateKey(authority.key),
    signingAlgorithm: algorithm,
    extensions: [
      new x509.BasicConstraintsExtension(false, undefined, true),
      new x509.KeyUsagesExtension(x509.KeyUsageFlags.digitalSignature, true),
      new x509.ExtendedKeyUsageExtension([x509.ExtendedKeyUsage.serverAuth]),
      new x509.SubjectAlternativeNameExtension(
        names.map((value) => ({ type: isIP(value) ? ('ip' as const) : ('dns' as const), value })),
      ),
      await x509.AuthorityKeyIdentifierExtension.create(issuer.publicKey),
    ],
  });
  return identityOf(certificate, keys);
}

/** RFC 5280, 4.1.2.2: positive, at most 20 octets. */
const serialNumber = () => `00${randomBytes(16).toString('hex')}`;

const newKeys = () => webcrypto.subtle.generateKey(algorithm, true, ['sign', 'verify']);

const privateKey = (pem: string) =>
  webcrypto.subtle.importKey('pkcs8', x509.PemConverter.decodeFirst(pem), algorithm, false, ['sign']);

async function identityOf(certificate: x509.X509Certificate, keys: webcrypto.CryptoKeyPair): Promise<Identity> {
  const der = await webcrypto.subtle.exportKey('pkcs8', keys.privateKey);
  return { certificate: certificate.toString('pem'), key: x509.PemConverter.encode(der, 'PRIVATE KEY') };
}
