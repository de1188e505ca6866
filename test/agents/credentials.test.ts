import { statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import { openCredentials } from '../../agents/credentials.ts';
import { keepPass, readPass } from '../../agents/pass.ts';
import { folder } from '../api/site.ts';

const day = 86_400_000;
const made = (token: string, lifeMs: number | null) => ({
  token,
  expiresInSeconds: lifeMs === null ? null : lifeMs / 1000,
});
const open = (stateDir: string, token?: string, now?: () => number) => {
  const told: string[] = [];
  const failed = ({ message }: Error) => void told.push(message);
  return { ...openCredentials({ stateDir, token, isSecure: true, failed, ...(now && { now }) }), told };
};

t.test('what joining gave is kept for root alone, and found again', async (t) => {
  const dir = folder(t);
  t.equal(readPass(dir), undefined);
  await keepPass(dir, made('a', 30 * day), 'PEM', 0);
  t.equal(statSync(join(dir, 'pass.json')).mode & 0o777, 0o600);
  t.strictSame(readPass(dir), { token: 'a', renewAt: 10 * day, ca: 'PEM' });
  writeFileSync(join(dir, 'pass.json'), '{');
  t.throws(() => readPass(dir), { code: 'STATE_CORRUPT', message: /Invite this agent again/ });
});

t.test('a new token is asked for when a third of its life is over, and used from then on', async (t) => {
  const dir = folder(t);
  let now = 0;
  await keepPass(dir, made('a', 30 * day), 'PEM', now);
  const credentials = open(dir, undefined, () => now);
  t.strictSame(credentials.current(), { token: 'a', ca: 'PEM' });
  t.notOk(credentials.isDue());
  now = 10 * day;
  t.ok(credentials.isDue());
  await credentials.renewed(made('b', 30 * day));
  t.strictSame(credentials.current(), { token: 'b', ca: 'PEM' });
  t.notOk(credentials.isDue());
  t.match(readPass(dir), { token: 'b', renewAt: 20 * day });
});

t.test('when its token is refused, it takes the one that another join gave meanwhile', async (t) => {
  const dir = folder(t);
  await keepPass(dir, made('a', null), 'PEM', 0);
  const credentials = open(dir);
  t.notOk(credentials.isDue());
  await keepPass(dir, made('b', null), 'OTHER', 0);
  t.match(credentials.current(), { token: 'a' });
  credentials.refused();
  t.strictSame(credentials.current(), { token: 'b', ca: 'OTHER' });
  writeFileSync(join(dir, 'pass.json'), '{');
  credentials.refused();
  t.match(credentials.current(), { token: 'b' }, 'what is damaged changes nothing');
  const damaged = open(dir);
  t.strictSame(damaged.current(), { token: undefined, ca: undefined });
  t.match(damaged.told, [/is damaged. Invite this agent again/]);
});

t.test('what joining gave is not sent in the clear', async (t) => {
  const dir = folder(t);
  await keepPass(dir, made('a', null), 'PEM', 0);
  const credentials = openCredentials({ stateDir: dir, token: undefined, isSecure: false, failed: () => {} });
  t.strictSame(credentials.current(), { token: undefined, ca: undefined });
});

t.test('a token of the settings goes first, and is never renewed', async (t) => {
  const dir = folder(t);
  await keepPass(dir, made('a', 1), 'PEM', 0);
  const credentials = open(dir, 'mine');
  t.strictSame(credentials.current(), { token: 'mine', ca: 'PEM' });
  t.notOk(credentials.isDue());
  const none = open(folder(t));
  t.strictSame(none.current(), { token: undefined, ca: undefined });
  await none.renewed(made('b', 1));
  t.strictSame(none.current(), { token: undefined, ca: undefined });
});
