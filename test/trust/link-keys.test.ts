import { readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import { openLinkKeys } from '../../src/trust/link-keys.ts';
import { folder } from '../api/site.ts';

t.test('a name and a machine have one secret for ever, and others have others', async (t) => {
  const dir = folder(t);
  const keys = await openLinkKeys(dir);
  const again = await openLinkKeys(dir);
  t.equal(keys('rs1', 'm1'), again('rs1', 'm1'));
  const all = [
    keys('rs1', 'm1'),
    keys('rs1', 'm2'),
    keys('rs2', 'm1'),
    keys('rs1m', '1'),
    (await openLinkKeys(folder(t)))('rs1', 'm1'),
  ];
  t.equal(new Set(all).size, all.length);
  t.equal(Buffer.from(keys('rs1', 'm1'), 'base64url').length, 32);
  t.equal(statSync(join(dir, 'link.key')).mode & 0o777, 0o600);
  t.notOk(all.includes(readFileSync(join(dir, 'link.key'), 'utf8').trim()));
});

t.test('a file that is damaged ends the start', async (t) => {
  const dir = folder(t);
  writeFileSync(join(dir, 'link.key'), 'short\n');
  await t.rejects(openLinkKeys(dir), { code: 'STATE_CORRUPT', message: /link\.key/ });
});
