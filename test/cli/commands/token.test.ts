import { X509Certificate } from 'node:crypto';
import t from 'tap';
import { startSecureSite } from '../secure-site.ts';

t.test('a token is made, listed and revoked', async (t) => {
  const c = await startSecureSite(t);
  const made = await c.ctl(['token', 'create', '--role', 'viewer', '--name', 'prometheus', '--expires', '90d']);
  t.match(made, { code: 0, stdout: /^dsr_[0-9a-f]{16}_[\w-]{43}\n$/ }, 'the token alone, for a pipe');
  const token = made.stdout.trim();
  const id = token.slice(4, 20);
  t.match(
    made.stderr,
    new RegExp(`^token ${id} for "prometheus" \\(viewer\\), good until 20[^;]+Z; it is shown this once\n`),
  );
  t.match(made.stderr, `dsrctl login https://DIRECTOR:7100 --ca-sha256 ${c.sha256} --token-file FILE`);
  t.notMatch(made.stderr, token);
  const as = (argv: string[]) => c.ctl(argv, { env: { DSR_TOKEN: token } });
  t.match(await as(['get', 'pools']), { code: 0 });
  t.match(await as(['token', 'list']), { code: 3, stderr: /this token may only read/ });

  const list = await c.ctl(['token', 'list']);
  t.match(list.stdout, /^ID +ROLE +NAME +MACHINE +CREATED +EXPIRES\n/);
  t.match(list.stdout, new RegExp(`\n${id} +viewer +prometheus +20\\S+ \\S+Z +20\\S+ \\S+Z\n`));
  t.match(list.stdout, /admin +tests +\S+ \S+Z +never/);
  t.notMatch(list.stdout, token.slice(21));
  t.match(JSON.parse((await c.ctl(['token', 'list', '--json'])).stdout), {
    tokens: [{}, {}, {}, { id, expired: false }],
  });

  t.match(await c.ctl(['token', 'revoke', id]), { code: 0, stdout: `${id} is revoked\n` });
  t.match(await as(['get', 'pools']), { code: 3, stderr: /not known here/ });
  t.match(await c.ctl(['token', 'revoke', id]), { code: 1, stderr: /there is no token/ });
  t.match(await c.ctl(['token', 'revoke', 'x']), { code: 1, stderr: /an id of 16 digits/ });
  const made2 = await c.ctl(['token', 'create', '--role', 'admin', '--name', 'x', '--json']);
  t.match(JSON.parse(made2.stdout), { token: /^dsr_/, expires: null });
  t.equal(made2.stderr, '');
  await c.keys.make('viewer', 'old', -1000);
  t.match((await c.ctl(['token', 'list'])).stdout, /viewer +old +\S+ \S+Z +expired 20/);
});

t.test('what is no role, name or time is refused', async (t) => {
  const c = await startSecureSite(t);
  for (const [argv, words] of [
    [['token', 'create', '--name', 'x'], /required option '--role <role>'/],
    [['token', 'create', '--role', 'viewer'], /required option '--name <what>'/],
    [['token', 'create', '--role', 'root', '--name', 'x'], /Allowed choices are viewer, admin/],
    [['token', 'create', '--role', 'viewer', '--name', 'x', '--expires', 'soon'], /Write it like 30s/],
    [['token', 'create', '--role', 'viewer', '--name', 'x', '--expires', '9999d'], /At most 3650d/],
    [['audit', '--last', '1001'], /A number up to 1000/],
  ] as const)
    t.match(await c.ctl(argv), { code: 2, stdout: '', stderr: words });
});

t.test('the authority is printed for others', async (t) => {
  const c = await startSecureSite(t);
  const { code, stdout, stderr } = await c.ctl(['ca']);
  t.equal(code, 0);
  t.match(new X509Certificate(stdout).subject, 'dsr-controller on director');
  t.equal(stderr, `SHA-256 ${c.sha256}\n`);
  t.strictSame(JSON.parse((await c.ctl(['ca', '--json'])).stdout), { pem: stdout, sha256: c.sha256 });
});
