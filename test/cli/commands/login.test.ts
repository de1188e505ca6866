import { existsSync, readFileSync, statSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import { folder } from '../../api/site.ts';
import { startSecureSite } from '../secure-site.ts';
import { dsrctl } from '../site.ts';

t.test('after a login later calls need no flags', async (t) => {
  const c = await startSecureSite(t);
  const home = folder(t);
  const env = { HOME: home };
  const file = join(home, '.config', 'dsrctl.json');
  const login = ['login', c.base, '--ca-sha256', c.sha256];
  const ended = await dsrctl([...login, '--token-file', '-'], { env, stdin: `${c.viewer}\n` });
  t.match(ended, {
    code: 0,
    stdout: '',
    stderr: new RegExp(`^${c.base} is what dsrctl speaks to.*kept in ${file}\n$`),
  });
  t.equal(statSync(file).mode & 0o777, 0o600);
  t.strictSame(JSON.parse(readFileSync(file, 'utf8')), { controller: c.base, token: c.viewer, caSha256: c.sha256 });
  t.match(await dsrctl(['get', 'pools'], { env }), { code: 0, stderr: '' });

  const [token, ca] = [join(home, 'token'), join(home, 'ca.pem')];
  writeFileSync(token, c.admin);
  writeFileSync(ca, c.authority.certificate);
  t.match(await dsrctl(['login', c.base, '--ca', ca, '--token-file', token], { env }), { code: 0 });
  t.strictSame(
    JSON.parse(readFileSync(file, 'utf8')),
    { controller: c.base, tokenFile: token, ca },
    'nothing of the one before',
  );
  t.match(await dsrctl(['token', 'list'], { env }), { code: 0 });

  t.match(await dsrctl(['login', `unix:${c.socket}`], { env }), { code: 0 });
  t.strictSame(JSON.parse(readFileSync(file, 'utf8')), { controller: `unix:${c.socket}` });
});

t.test('a login that fails keeps what was, and sends no token that is kept for another controller', async (t) => {
  const c = await startSecureSite(t);
  const [home, elsewhere] = [folder(t), folder(t)];
  const file = join(elsewhere, 'mine.json');
  symlinkSync(file, join(home, 'dsrctl.json'));
  const env = { XDG_CONFIG_HOME: home };
  const before = JSON.stringify({ controller: 'http://192.0.2.1:7100', token: c.admin, insecure: true });
  writeFileSync(file, before);
  for (const [more, code, words] of [
    [[], 3, /UNAUTHENTICATED/],
    [['--token', 'wrong'], 3, /UNAUTHENTICATED/],
    [['--ca-sha256', 'ab'.repeat(32)], 1, /another authority/],
  ] as const)
    t.match(await dsrctl(['login', c.base, '--ca-sha256', c.sha256, ...more], { env }), { code, stderr: words });
  t.equal(readFileSync(file, 'utf8'), before);
  t.notMatch(c.heard.join(), c.admin);

  const login = ['login', c.base, '--ca-sha256', c.sha256, '--token', c.viewer];
  t.match(await dsrctl(login, { env }), { code: 0 });
  t.match(JSON.parse(readFileSync(file, 'utf8')), { controller: c.base, token: c.viewer }, 'through the link');
  t.match(await dsrctl([...login, '--config', join(file, 'x')], { env }), {
    code: 1,
    stderr: /the controller is fine, but .* cannot be written: ENOTDIR/,
  });
  writeFileSync(file, '[1]');
  t.match(await dsrctl(login, { env }), { code: 1, stderr: /no JSON object; correct it, or move it away/ });
  t.equal(readFileSync(file, 'utf8'), '[1]');
  t.notOk(existsSync(`${file}.${process.pid}`));
  t.match(await dsrctl(['login', 'nowhere'], { env }), { code: 2, stderr: /the controller's URL, such as/ });
});
