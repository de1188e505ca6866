import type { X509Certificate } from 'node:crypto';
import { isIP, type Socket } from 'node:net';
import { connect, type SecureContext } from 'node:tls';
import type { Check } from '../../check-schema.ts';
import type { Outcome } from '../../core/health.ts';
import type { Probe } from '../open.ts';
import { outcomeOf, readError, sslReason, whereOf } from './faults.ts';
import { broken, quote, wrong } from './outcomes.ts';
import { trusting } from './roots.ts';
import { untilAborted } from './stream.ts';

export type HttpsCheck = Extract<Check, { type: 'https' }>;

interface Secured {
  socket: Socket;
  /** What the outcome tells of the certificate, whatever else comes. */
  shown: Pick<Outcome, 'certificateExpires'>;
  /** Why it is not good enough. */
  failure?: Outcome;
}

/** The TLS handshake over a connection. What goes wrong is in the result, so that the certificate is told of even then. */
export async function secure(probe: Probe, check: HttpsCheck, raw: Socket): Promise<Secured> {
  const name = nameOf(check, probe.vip);
  const secureContext = contextOf(check);
  if (typeof secureContext === 'string') return { socket: raw, shown: {}, failure: broken(secureContext) };
  const socket = connect({
    socket: raw,
    ...(isIP(name) === 0 && { servername: name }),
    secureContext,
    ALPNProtocols: ['http/1.1'],
    // Verified below, with words for it.
    rejectUnauthorized: false,
    checkServerIdentity: () => undefined,
  });
  try {
    await untilAborted<void>(probe.signal, (resolve, reject) => {
      // Stays for as long as the socket: an error may come when nobody waits for one any more.
      socket.on('error', reject);
      socket.once('secureConnect', resolve);
    });
  } catch (error) {
    return { socket, shown: {}, failure: handshakeFailure(error, probe) };
  }
  const certificate = socket.getPeerX509Certificate();
  const expires = certificate ? Date.parse(certificate.validTo) : Number.NaN;
  const shown = Number.isNaN(expires) ? {} : { certificateExpires: expires };
  const problem = check.verify ? problemOf(certificate, socket.authorizationError, name) : undefined;
  return { socket, shown, ...(problem !== undefined && { failure: wrong(problem) }) };
}

/** What the certificate must be for: `sni`, or `host` without port and last dot (RFC 6066 section 3), or the VIP. */
function nameOf({ sni, host }: HttpsCheck, vip: string): string {
  if (sni !== undefined) return sni;
  if (host === undefined) return vip;
  if (isIP(host)) return host;
  return host.replace(/\.?(?::\d*)?$/, '').replace(/^\[(.*)\]$/, '$1');
}

function contextOf({ verify, ca }: HttpsCheck): SecureContext | string {
  try {
    return trusting(verify ? ca : undefined);
  } catch (error) {
    return `"ca" of the check cannot be read: ${readError(error).message}`;
  }
}

function handshakeFailure(error: unknown, probe: Probe): Outcome {
  const { code } = readError(error);
  if (code === 'ERR_SSL_WRONG_VERSION_NUMBER' || code === 'ERR_SSL_PACKET_LENGTH_TOO_LONG')
    return wrong(`${whereOf(probe)} does not speak TLS: is it a port for plain HTTP?`);
  if (code.startsWith('ERR_SSL_') || code === 'EPROTO')
    return wrong(`${whereOf(probe)}: the TLS handshake failed: ${sslReason(error)}`);
  return outcomeOf(error, probe, 'handshake');
}

const mend = 'give its issuer as "ca", or write "verify": false';

/** Why a certificate is not the wanted one; undefined when it is. */
function problemOf(certificate: X509Certificate | undefined, failure: unknown, name: string): string | undefined {
  if (!certificate) return 'the server shows no certificate';
  // A code of OpenSSL's verification, although declared as an Error (Node.js, tls.md, "X509 certificate error codes").
  const code = failure instanceof Error ? readError(failure).code : String(failure ?? '');
  switch (code) {
    case '':
    case 'null':
      return mismatch(certificate, name);
    case 'CERT_HAS_EXPIRED':
      return Date.parse(certificate.validTo) < Date.now()
        ? `the certificate expired on ${day(certificate.validTo)}: renew it`
        : 'a certificate that signs the server\'s has expired: renew the chain'; // biome-ignore format: quotes
    case 'CERT_NOT_YET_VALID':
      return `the certificate is valid only from ${day(certificate.validFrom)} on: is the clock right?`;
    case 'DEPTH_ZERO_SELF_SIGNED_CERT':
      return `the certificate is self-signed: give it as "ca", or write "verify": false`;
    case 'SELF_SIGNED_CERT_IN_CHAIN':
      return `the certificate comes from an authority that is not trusted, ${issuerOf(certificate)}: ${mend}`;
    case 'UNABLE_TO_VERIFY_LEAF_SIGNATURE':
    case 'UNABLE_TO_GET_ISSUER_CERT':
    case 'UNABLE_TO_GET_ISSUER_CERT_LOCALLY':
      return `the certificate's issuer ${issuerOf(certificate)} is not trusted, or the server does not send the whole chain: ${mend}`;
    default:
      return `the certificate is not valid: ${code}`;
  }
}

function mismatch(certificate: X509Certificate, name: string): string | undefined {
  if (isIP(name) ? certificate.checkIP(name) : certificate.checkHost(name)) return undefined;
  return `the certificate is for ${namesIn(certificate)}, not for ${quote(name)}: set "sni" or "host", or write "verify": false`;
}

/** Its names: "DNS:www.example.com, IP Address:192.0.2.100" (X509Certificate.subjectAltName), else its subject's. */
function namesIn({ subjectAltName, subject }: X509Certificate): string {
  const names = subjectAltName?.split(', ').map((name) => name.replace(/^[A-Za-z ]+:/, '')) ?? [commonName(subject)];
  const [first = '', second, ...rest] = names;
  const some = quote(first, 40) + (second === undefined ? '' : `, ${quote(second, 40)}`);
  return rest.length > 0 ? `${some} and ${rest.length} more` : some;
}

const issuerOf = ({ issuer }: X509Certificate): string => quote(commonName(issuer), 40);
/** Of a name in lines such as "CN=Example CA" (X509Certificate.subject); all of it where it has none. */
const commonName = (name: string): string => /^CN=(.*)$/m.exec(name)?.[1] ?? name;
const day = (date: string): string => new Date(date).toISOString().slice(0, 10);
