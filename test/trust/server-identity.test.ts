import { X509Certificate } from 'node:crypto';
import { networkInterfaces } from 'node:os';
import t from 'tap';
import { makeAuthority, makeServer } from '../../src/trust/certificates.ts';
import { isGood } from '../../src/trust/identity.ts';
import { openTlsKeys } from '../../src/trust/open.ts';
import { sha256Of } from '../../src/trust/pin.ts';
import { namesOfHost, openServerIdentity } from '../../src/trust/server-identity.ts';
import { folder } from '../api/site.ts';

const fail = (error: Error) => {
  throw error;
};
const day = 86_400_000;
const start = Date.parse('2026-01-01T00:00:00Z');
const leafOf = ({ cert }: { cert: string }) => new X509Certificate(cert);

t.test('authority and certificate are made once; the rules of X.509 hold for them', async (t) => {
  const dir = folder(t);
  const open = () =>
    openServerIdentity(
      openTlsKeys(dir),
      () => ['192.0.2.10', 'fd00::1', 'director'],
      fail,
      () => start,
    );
  const identity = await open();
  const authority = new X509Certificate(identity.authority);
  const leaf = leafOf(identity.current());
  t.ok(authority.ca && authority.verify(authority.publicKey) && leaf.verify(authority.publicKey) && !leaf.ca);
  t.ok(leaf.checkIssued(authority));
  for (const name of ['192.0.2.10', 'fd00:0:0::1']) t.ok(leaf.checkIP(name), name);
  t.ok(leaf.checkHost('director'));
  t.notOk(leaf.checkIP('192.0.2.11'));
  t.equal(identity.fingerprint, authority.fingerprint256.replaceAll(':', '').toLowerCase());
  const again = await open();
  t.equal(again.fingerprint, identity.fingerprint);
  t.equal(again.current().cert, identity.current().cert);
});

t.test('a certificate is made anew in time, and when a name is new; the authority stays', async (t) => {
  let now = start;
  const names = ['192.0.2.10'];
  const identity = await openServerIdentity(
    openTlsKeys(folder(t)),
    () => names,
    fail,
    () => now,
  );
  const first = leafOf(identity.current());
  t.notOk(await identity.refresh());
  now += 200 * day;
  t.notOk(await identity.refresh());
  now += 150 * day;
  t.ok(await identity.refresh());
  const second = leafOf(identity.current());
  t.not(second.serialNumber, first.serialNumber);
  t.ok(Date.parse(second.validTo) > now + 300 * day);
  names.push('192.0.2.11');
  t.ok(await identity.refresh());
  t.ok(leafOf(identity.current()).checkIP('192.0.2.11'));
  t.ok(leafOf(identity.current()).verify(new X509Certificate(identity.authority).publicKey));
  now = start - 10 * day;
  t.ok(await identity.refresh(), 'the clock was wrong before');
});

t.test('a certificate of another authority is not good', async (t) => {
  const [mine, other] = [await makeAuthority('a'), await makeAuthority('b')];
  const server = await makeServer(other, ['x'], start);
  t.ok(isGood(server, other, ['x'], start));
  t.notOk(isGood(server, mine, ['x'], start));
  t.not(sha256Of(mine.certificate), sha256Of(other.certificate));
});

t.test('the names are the address that is listened on, or all that the host has', async (t) => {
  t.strictSame(
    namesOfHost('192.0.2.10', ['lb.example.com']).filter((name) => /^192|example/.test(name)),
    ['192.0.2.10', 'lb.example.com'],
  );
  const own = Object.values(networkInterfaces()).flatMap((list) => list ?? []);
  const all = namesOfHost('0.0.0.0', []);
  for (const { address } of own) t.equal(all.includes(address), !address.startsWith('fe80'), address);
  t.ok(all.includes('localhost'));
});

t.test('a full disk does not keep the controller from showing itself', async (t) => {
  const dir = folder(t);
  const told: string[] = [];
  const names = ['192.0.2.10'];
  const document = openTlsKeys(dir);
  const open = () =>
    openServerIdentity(
      document,
      () => names,
      ({ message }) => told.push(message),
      () => start,
    );
  await open();
  names.push('192.0.2.11');
  const full = { ...document, change: () => Promise.reject(new Error('no room')) };
  const identity = await openServerIdentity(
    full,
    () => names,
    ({ message }) => told.push(message),
    () => start,
  );
  t.ok(leafOf(identity.current()).checkIP('192.0.2.11'));
  t.strictSame(told, ['no room']);
});

t.test('thousands of names are compared in no time', async (t) => {
  const authority = await makeAuthority('a');
  const names = Array.from({ length: 4000 }, (_, i) => `2001:db8::${i.toString(16)}`);
  const server = await makeServer(authority, names, start);
  t.ok(isGood(server, authority, names, start));
  t.notOk(isGood(server, authority, [...names, '2001:db8:1::'], start));
});
