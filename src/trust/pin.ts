import { createHash, X509Certificate } from 'node:crypto';
import { once } from 'node:events';
import { isIP } from 'node:net';
import { connect, type DetailedPeerCertificate } from 'node:tls';
import { CodedError } from '../errors.ts';

/** SHA-256 of a certificate (its DER), hexadecimal. */
export const sha256Of = (certificate: string | Buffer): string =>
  createHash('sha256').update(new X509Certificate(certificate).raw).digest('hex');

/**
 * The certificate, as PEM, of the authority that a server shows, when it is the one that is pinned; it is what the
 * connection after this one is checked against. On this one nothing is sent, since nobody knows yet whom it leads to.
 *
 * @param sha256 of the authority's certificate, hexadecimal, with or without colons
 * @throws CodedError OTHER_AUTHORITY when it is another, NOT_TLS when the server speaks no TLS; else what the system says
 */
export async function authorityOf(url: URL, sha256: string, timeoutMs: number): Promise<string> {
  const wanted = sha256.replaceAll(':', '').toLowerCase();
  const root = await rootOf(url, timeoutMs);
  const found = sha256Of(root.raw);
  if (found === wanted) return pemOf(root.raw);
  throw new CodedError(
    'OTHER_AUTHORITY',
    [
      `${url.origin} shows a certificate of another authority than the one that was told (caSha256); nothing was sent to it`,
      `  told:  ${wanted}`,
      `  shown: ${found} (${root.subject?.CN ?? 'without a name'})`,
      '  Either the controller has made itself a new authority, as after its state folder was lost, or something else answers in its place.',
      '  On the director, as root, "dsrctl ca" says which is right.',
    ].join('\n'),
  );
}

/** Whether what listens there speaks TLS. @param url of what was taken for plain HTTP */
export const speaksTls = (url: URL, timeoutMs: number): Promise<boolean> =>
  rootOf(url, timeoutMs).then(
    () => true,
    () => false,
  );

async function rootOf({ protocol, hostname, port }: URL, timeoutMs: number): Promise<DetailedPeerCertificate> {
  const host = hostname.replace(/^\[|\]$/g, '');
  const socket = connect({
    host,
    port: Number(port || (protocol === 'http:' ? 80 : 443)),
    // Looked at, not trusted.
    rejectUnauthorized: false,
    ...(!isIP(host) && { servername: host }),
  });
  const timer = setTimeout(
    () => socket.destroy(Object.assign(new Error('it does not answer'), { code: 'ETIMEDOUT' })),
    timeoutMs,
  );
  try {
    await once(socket, 'secureConnect');
    let certificate = socket.getPeerCertificate(true);
    // A certificate that signed itself is its own issuer.
    while (certificate.issuerCertificate && certificate.issuerCertificate !== certificate)
      certificate = certificate.issuerCertificate;
    return certificate;
  } catch (error) {
    throw tlsFault(error) ?? error;
  } finally {
    clearTimeout(timer);
    // What it says after this is of no interest, also that it was cut off.
    socket.on('error', () => {});
    socket.destroy();
  }
}

const pemOf = (der: Buffer): string =>
  `-----BEGIN CERTIFICATE-----\n${der.toString('base64').replace(/.{64}(?=.)/g, '$&\n')}\n-----END CERTIFICATE-----\n`;

/** What is wrong with the certificate or with TLS itself, and what to do; undefined when the failure is of another kind. */
export function tlsFault(error: unknown): CodedError | undefined {
  const { code = '', cert } = error as { code?: string; cert?: Partial<DetailedPeerCertificate> };
  const words = code === 'ERR_TLS_CERT_ALTNAME_INVALID' ? otherNames(cert?.subjectaltname) : faults.get(code);
  if (words === undefined) return undefined;
  return new CodedError(words === notTls ? 'NOT_TLS' : 'BAD_CERTIFICATE', words, 1, { cause: error });
}

const notTls = 'it speaks plain HTTP on this port, not HTTPS: write http://, or the port that it speaks HTTPS on';
const notSigned =
  'its certificate is not signed by an authority that is trusted here; the controller has one of its own, which is told by "caSha256" (its fingerprint) or "ca" (its certificate as a PEM file)';
const notNow = (what: string) =>
  `its certificate ${what}: compare the clocks of both hosts; a controller that runs makes itself a new one in time`;

/** By the codes of Node.js: X509_V_ERR_… of OpenSSL, and what its records fail with. */
const faults = new Map([
  ['EPROTO', notTls],
  ['ERR_SSL_WRONG_VERSION_NUMBER', notTls],
  ['ERR_SSL_PACKET_LENGTH_TOO_LONG', notTls],
  ['CERT_HAS_EXPIRED', notNow('has expired')],
  ['CERT_NOT_YET_VALID', notNow('is not valid yet')],
  ['SELF_SIGNED_CERT_IN_CHAIN', notSigned],
  ['DEPTH_ZERO_SELF_SIGNED_CERT', notSigned],
  ['UNABLE_TO_GET_ISSUER_CERT', notSigned],
  ['UNABLE_TO_GET_ISSUER_CERT_LOCALLY', notSigned],
  ['UNABLE_TO_VERIFY_LEAF_SIGNATURE', notSigned],
  ['CERT_SIGNATURE_FAILURE', notSigned],
  ['INVALID_CA', notSigned],
]);

function otherNames(altNames = ''): string {
  const names = [...altNames.matchAll(/(?:DNS|IP Address):([^,\s"]+)/g)].map(([, name]) => name);
  return `its certificate is for other names: ${names.join(', ') || 'none'}. Use one of these, or add yours to the controller's setting "tlsNames" and start it again`;
}
