import { mkdirSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import fc from 'fast-check';
import t from 'tap';
import { adminTokenFile, openKeys } from '../../src/trust/open.ts';
import { fits, hashOf, newToken, parseToken, textOf } from '../../src/trust/token.ts';
import { folder } from '../api/site.ts';
import { holds } from '../property.ts';

const failed = (error: Error) => {
  throw error;
};

t.test('the first start makes an administrator, whose token only root may read; the second keeps it', async (t) => {
  const dir = folder(t);
  const keys = await openKeys(dir, failed);
  const token = readFileSync(adminTokenFile(dir), 'utf8').trim();
  t.match(keys.caller(token), { kind: 'key', role: 'admin' });
  for (const name of readdirSync(dir)) t.equal(statSync(join(dir, name)).mode & 0o777, 0o600, name);
  const again = await openKeys(dir, failed);
  t.match(again.caller(token), { kind: 'key', role: 'admin' });
  t.equal(Object.keys(again.all()).length, 1);
});

t.test('a crash between the file of the first token and the store of it leaves nobody locked out', async (t) => {
  const dir = folder(t);
  await openKeys(dir, failed);
  const lost = readFileSync(adminTokenFile(dir), 'utf8').trim();
  rmSync(join(dir, 'keys.json'));
  const keys = await openKeys(dir, failed);
  t.equal(keys.caller(lost), 'unknown');
  t.match(keys.caller(readFileSync(adminTokenFile(dir), 'utf8').trim()), { role: 'admin' });
  const blocked = folder(t);
  mkdirSync(adminTokenFile(blocked));
  await t.rejects(openKeys(blocked, failed), /EISDIR|ENOTEMPTY|directory/);
  t.notOk(readdirSync(blocked).includes('keys.json'), 'no key is good that nobody could be told');
});

t.test('no secret is on the disk, nor in a list', async (t) => {
  const dir = folder(t);
  const keys = await openKeys(dir, failed);
  const made = [
    await keys.make('viewer', 'grafana', null),
    await keys.invite('rs1', 1000),
    await keys.make('admin', 'x', 5),
  ];
  for (const { token } of made) {
    const secret = token.split('_').slice(2).join('_');
    t.notMatch(readFileSync(join(dir, 'keys.json'), 'utf8'), secret);
    t.notOk(JSON.stringify(keys.all()).includes(secret));
  }
});

t.test('an invitation is good once, for one machine, and an older one for the same agent never again', async (t) => {
  const keys = await openKeys(folder(t), failed);
  const old = await keys.invite('rs1', 60_000);
  const invitation = await keys.invite('rs1', 60_000);
  t.equal(keys.caller(old.token), 'unknown');
  t.match(keys.caller(invitation.token), { role: 'invitation', name: 'rs1' });
  const both = await Promise.allSettled([keys.redeem(invitation.id, 'm1'), keys.redeem(invitation.id, 'm2')]);
  t.strictSame(both.map(({ status }) => status).sort(), ['fulfilled', 'rejected'], 'one of two at once');
  t.equal(keys.caller(invitation.token), 'unknown');
  await t.rejects(keys.redeem(invitation.id, 'm1'), { code: 'UNAUTHENTICATED' });
  const agents = Object.values(keys.all()).filter(({ role }) => role === 'agent');
  t.match(agents, [{ name: 'rs1', machineId: /^m[12]$/ }]);
});

t.test('a new token of an agent is good at once, the old one until the new one is used', async (t) => {
  const keys = await openKeys(folder(t), failed);
  const first = await keys.redeem((await keys.invite('rs1', 60_000)).id, 'm1');
  const lost = await keys.renew(first.id);
  t.match(keys.caller(first.token), { role: 'agent' }, 'the answer was lost: the old one is still good');
  const second = await keys.renew(first.id);
  t.equal(keys.caller(lost.token), 'unknown', 'nobody has it');
  t.match(keys.caller(second.token), { role: 'agent', name: 'rs1', machineId: 'm1' });
  await keys.make('viewer', 'after', null);
  t.equal(keys.caller(first.token), 'unknown');
  await t.rejects(keys.renew(first.id), { code: 'UNAUTHENTICATED' });
  await keys.revokeAgent('rs1');
  t.equal(keys.caller(second.token), 'unknown');
});

t.test('what expired is told from what never was, and the last administrator cannot lock himself out', async (t) => {
  const dir = folder(t);
  const keys = await openKeys(dir, failed);
  const short = await keys.make('viewer', 'short', 1);
  while (keys.caller(short.token) !== 'expired') await new Promise((resolve) => setTimeout(resolve, 1));
  const [[admin = ''] = []] = Object.entries(keys.all()).filter(([, { role }]) => role === 'admin');
  await t.rejects(keys.revoke(admin), { code: 'CONFLICT', message: /only administrator/ });
  const second = await keys.make('admin', 'second', null);
  t.ok(await keys.revoke(admin));
  t.notOk(await keys.revoke(admin));
  t.match(keys.caller(second.token), { role: 'admin' });
  writeFileSync(join(dir, 'keys.json'), '{"version":1,"keys":{}}\n');
  const anew = await openKeys(dir, failed);
  t.match(anew.caller(readFileSync(adminTokenFile(dir), 'utf8').trim()), { role: 'admin' });
});

holds(
  t,
  'a token is itself and nothing else: any other text is none, any other secret does not fit',
  fc.property(fc.string(), fc.nat(), fc.constantFrom('a', 'B', '-', '_', '9', 'é', ''), (noise, at, other) => {
    const token = newToken();
    const text = textOf(token);
    const i = at % text.length;
    const changed = text.slice(0, i) + other + text.slice(i + 1);
    const parsed = parseToken(changed);
    const isOther = !parsed || parsed.id !== token.id || !fits(parsed.secret, hashOf(token.secret));
    return (
      parseToken(text)?.id === token.id &&
      fits(token.secret, hashOf(token.secret)) &&
      parseToken(noise) === undefined &&
      (changed === text || isOther) &&
      !fits(token.secret, '')
    );
  }),
);
