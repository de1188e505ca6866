import { once } from 'node:events';
import { createServer as createHttp } from 'node:http';
import { createServer as createHttps } from 'node:https';
import { type AddressInfo, createServer as createTcp, type Server } from 'node:net';
import t, { type Test } from 'tap';
import { makeAuthority, makeServer } from '../../src/trust/certificates.ts';
import type { Identity } from '../../src/trust/identity.ts';
import { authorityOf, sha256Of, tlsFault } from '../../src/trust/pin.ts';

const patienceMs = 10_000;

async function listen(t: Test, server: Server, scheme = 'https', host = '127.0.0.1'): Promise<URL> {
  t.teardown(() => server.close());
  server.listen(0, host);
  await once(server, 'listening');
  return new URL(`${scheme}://${host.includes(':') ? `[${host}]` : host}:${(server.address() as AddressInfo).port}`);
}

/** A server with this certificate, and what it was sent. */
async function serve(t: Test, authority: Identity, names = ['127.0.0.1', '::1'], host?: string) {
  const { certificate, key } = await makeServer(authority, names, Date.now());
  const server = createHttps({ cert: `${certificate}\n${authority.certificate}`, key });
  const heard: unknown[] = [];
  server.on('secureConnection', (socket) => socket.on('data', (data: Buffer) => heard.push(data)));
  server.on('request', (request) => heard.push(request.url));
  return { url: await listen(t, server, 'https', host), heard };
}

t.test('the authority of the fingerprint is answered, and nothing is sent', async (t) => {
  const authority = await makeAuthority('director');
  const sha256 = sha256Of(authority.certificate);
  for (const host of ['127.0.0.1', '::1']) {
    const { url, heard } = await serve(t, authority, undefined, host);
    const colons = sha256.toUpperCase().match(/../g)?.join(':') ?? '';
    for (const told of [sha256, colons])
      t.equal(sha256Of(await authorityOf(url, told, patienceMs)), sha256, `${url.hostname} ${told.length}`);
    t.strictSame(heard, []);
  }
});

t.test('another authority is refused, with both fingerprints', async (t) => {
  const [authority, other] = await Promise.all([1, 2].map(() => makeAuthority('director')));
  if (!authority || !other) throw new Error('no authority');
  const { url, heard } = await serve(t, other);
  const told = sha256Of(authority.certificate);
  await t.rejects(authorityOf(url, told, patienceMs), {
    code: 'OTHER_AUTHORITY',
    message: new RegExp(`told: +${told}\n +shown: ${sha256Of(other.certificate)} \\(dsr-controller on director\\)`),
  });
  t.strictSame(heard, []);
});

t.test('who speaks no TLS, is silent or away is told apart', async (t) => {
  const sha256 = 'ab'.repeat(32);
  const plain = await listen(
    t,
    createHttp((_, response) => response.end()),
  );
  await t.rejects(authorityOf(plain, sha256, patienceMs), { code: 'NOT_TLS', message: /plain HTTP on this port/ });
  const silent = createTcp((socket) => void t.teardown(() => socket.destroy()));
  await t.rejects(authorityOf(await listen(t, silent), sha256, 50), { code: 'ETIMEDOUT' });
  const cut = createTcp((socket) => void socket.destroy());
  await t.rejects(authorityOf(await listen(t, cut), sha256, patienceMs), { code: 'ECONNRESET' });
  await t.rejects(authorityOf(new URL('https://127.0.0.1:9'), sha256, patienceMs), { code: 'ECONNREFUSED' });
});

t.test('a fault of TLS is put in words, another failure is not', async (t) => {
  const cert = { subjectaltname: 'DNS:director.example, IP Address:192.0.2.10' };
  t.match(tlsFault({ code: 'ERR_TLS_CERT_ALTNAME_INVALID', cert }), {
    code: 'BAD_CERTIFICATE',
    message: /other names: director\.example, 192\.0\.2\.10\. .*"tlsNames"/,
  });
  t.match(tlsFault({ code: 'CERT_HAS_EXPIRED' }), {
    code: 'BAD_CERTIFICATE',
    message: /has expired: compare the clocks/,
  });
  for (const error of [{ code: 'ECONNREFUSED' }, new Error('x'), { code: 'constructor' }])
    t.equal(tlsFault(error), undefined);
});
