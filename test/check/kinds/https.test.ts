import { X509Certificate } from 'node:crypto';
import { createServer } from 'node:https';
import type { TLSSocket } from 'node:tls';
import t, { type Test } from 'tap';
import { certificate, type Pair } from './certificates.ts';
import { type CheckInput, listen, probe, serve } from './probing.ts';

type Https = Omit<Extract<CheckInput, { type: 'https' }>, 'type'>;

const authority = await certificate({ name: 'Example CA', authority: true });
const ca = authority.cert;
const www = await certificate({
  names: ['www.example.com', '*.example.net'],
  addresses: ['192.0.2.100'],
  by: authority,
});

async function ask(t: Test, pair: Pair, check: Https = {}, more: Parameters<typeof probe>[3] = {}) {
  let servername: unknown;
  const server = createServer(pair, ({ socket }, response) => {
    servername = (socket as TLSSocket).servername;
    response.end('well');
  });
  const outcome = await probe(t, await listen(t, server), { type: 'https', ...check }, more);
  return { ...outcome, servername };
}

t.test('a certificate of a trusted authority, for the name or for the VIP', async (t) => {
  const certificateExpires = Date.parse(new X509Certificate(www.cert).validTo);
  const good = { kind: 'ok', words: 'answered 200', certificateExpires };
  t.match(await ask(t, www, { ca, host: 'www.example.com' }), { ...good, servername: 'www.example.com' });
  t.match(await ask(t, www, { ca, host: 'www.example.com.:8443' }), { ...good, servername: 'www.example.com' });
  t.match(await ask(t, www, { ca, host: 'other', sni: 'a.example.net' }), { ...good, servername: 'a.example.net' });
  t.match(await ask(t, www, { ca }), { ...good, servername: false }, 'an address is no server name');
  t.match(await ask(t, www, { ca, host: '192.0.2.100:8443' }), good);
  t.match(await ask(t, www, { ca, body: { contains: 'well' } }), good);
});

t.test('a certificate for other names', async (t) => {
  const { kind, words, certificateExpires } = await ask(t, www, { ca, host: 'www.example.org' });
  t.strictSame({ kind, words }, {
    kind: 'wrong',
    words: 'the certificate is for "www.example.com", "*.example.net" and 1 more, not for "www.example.org": set "sni" or "host", or write "verify": false',
  }); // biome-ignore format: short
  t.type(certificateExpires, 'number');
  t.match(await ask(t, www, { ca }, { vip: '192.0.2.101' }), { kind: 'wrong', words: /not for "192\.0\.2\.101"/ });
  const nameless = await certificate({ name: 'box', by: authority });
  t.match(await ask(t, nameless, { ca }), { kind: 'wrong', words: /^the certificate is for "box", not for/ });
});

t.test('a certificate that is over, or not yet valid', async (t) => {
  const old = await certificate({ names: ['www.example.com'], by: authority, from: -20, until: -10 });
  const day = new Date(Date.now() - 10 * 86_400_000).toISOString().slice(0, 10);
  const outcome = await ask(t, old, { ca, host: 'www.example.com' });
  t.match(outcome, { kind: 'wrong', words: `the certificate expired on ${day}: renew it` });
  t.ok((outcome.certificateExpires ?? 0) < Date.now());
  t.match(await ask(t, old, { verify: false }), { kind: 'ok', certificateExpires: Number });
  const early = await certificate({ names: ['www.example.com'], by: authority, from: 2, until: 3 });
  t.match(await ask(t, early, { ca, host: 'www.example.com' }), { kind: 'wrong', words: /valid only from \d{4}-/ });
});

t.test('a certificate that nobody trusts', async (t) => {
  const own = await certificate({ addresses: ['192.0.2.100'] });
  t.match(await ask(t, own), { kind: 'wrong', words: /^the certificate is self-signed: give it as "ca"/ });
  t.match(await ask(t, own, { ca: own.cert }), { kind: 'ok' });
  t.match(await ask(t, own, { verify: false }), { kind: 'ok', certificateExpires: Number });
  t.match(await ask(t, www), { kind: 'wrong', words: /issuer "Example CA" is not trusted.*give its issuer as "ca"/ });
  const chain = { ...www, cert: `${www.cert}\n${ca}` };
  t.match(await ask(t, chain), { kind: 'wrong', words: /authority that is not trusted, "Example CA"/ });
  const unreadable = '-----BEGIN CERTIFICATE-----\nnone\n-----END CERTIFICATE-----\n';
  t.match(await ask(t, www, { ca: unreadable }), { kind: 'broken', words: /^"ca" of the check cannot be read/ });
});

t.test('the host\'s own certificates stay trusted beside "ca"', async (t) => {
  const other = await certificate({ name: 'Other CA', authority: true });
  t.match(await ask(t, www, { ca: `${other.cert}\n${ca}` }), { kind: 'ok' });
});

t.test('a bad answer over TLS still tells of the certificate', async (t) => {
  t.match(await ask(t, www, { ca, status: [204] }), {
    kind: 'wrong',
    words: 'answered 200, wanted 204',
    certificateExpires: Number,
  });
});

t.test('servers that do not get through a handshake', async (t) => {
  const answered = async (answer: string | undefined) => {
    const port = await serve(t, (socket) => socket.once('data', () => answer !== undefined && socket.end(answer)));
    return probe(t, port, { type: 'https', timeoutMs: 300 });
  };
  t.match(await answered('HTTP/1.1 400 Bad Request\r\n\r\n'), {
    kind: 'wrong',
    words: /does not speak TLS: is it a port/,
  });
  t.match(await answered(''), { kind: 'wrong', words: /closes it during the TLS handshake/ });
  t.match(await answered(undefined), { kind: 'timeout', words: /the TLS handshake does not end within 300 ms$/ });
  const server = createServer({ ...www, minVersion: 'TLSv1.3', ciphers: 'TLS_AES_128_CCM_SHA256' });
  t.match(await probe(t, await listen(t, server), { type: 'https' }), {
    kind: 'wrong',
    words: /the TLS handshake failed: .*handshake failure/,
  });
});

t.test('a server that wants a certificate of its clients', async (t) => {
  const server = createServer({ ...www, ca, requestCert: true, rejectUnauthorized: true });
  t.match(await probe(t, await listen(t, server), { type: 'https', ca }), {
    kind: 'wrong',
    certificateExpires: Number,
  });
});
