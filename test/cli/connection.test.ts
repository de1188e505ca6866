import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import fc from 'fast-check';
import t from 'tap';
import { makeAuthority, makeServer } from '../../src/trust/certificates.ts';
import { run } from '../api/run.ts';
import { seed } from '../property.ts';
import { startSecureSite } from './secure-site.ts';
import { dsrctl, startStub } from './site.ts';

const dayMs = 86_400_000;

t.test('over HTTPS the fingerprint or the file of the authority is all that counts', async (t) => {
  const c = await startSecureSite(t);
  const ca = join(c.dir, 'ca.pem');
  writeFileSync(ca, c.authority.certificate);
  const around = { env: { DSR_CONTROLLER: c.base, DSR_TOKEN: c.viewer } };
  const asks = (...argv: string[]) => dsrctl(['get', 'pools', ...argv], around);
  t.match(await asks('--ca-sha256', c.sha256), { code: 0, stderr: '' });
  t.match(await asks('--ca-sha256', c.sha256.toUpperCase().replace(/..(?=.)/g, '$&:')), { code: 0 });
  t.match(await asks('--ca', ca), { code: 0, stderr: '' });
  t.match(await asks(), {
    code: 1,
    stderr: /cannot be reached: its certificate is not signed by an authority that is trusted here.*caSha256/,
  });
  const file = join(c.dir, 'token');
  writeFileSync(file, `${c.viewer}\n`);
  const bare = { env: { DSR_CONTROLLER: c.base, DSR_CA_SHA256: c.sha256 } };
  t.match(await dsrctl(['get', 'pools', '--token-file', file], bare), { code: 0 });
  t.match(await dsrctl(['get', 'pools', '--token-file', '-'], { ...bare, stdin: `${c.viewer}\n` }), { code: 0 });
  t.match(await dsrctl(['get', 'pools', '--token-file', file], { env: { ...bare.env, DSR_TOKEN: 'other' } }), {
    code: 0,
  });
  t.match(
    await dsrctl(['get', 'pools', '--token', c.viewer], { env: { ...bare.env, DSR_TOKEN_FILE: '/nonexistent' } }),
    {
      code: 0,
    },
  );
});

t.test('an authority that is another gets no token, whatever it shows', async (t) => {
  const c = await startSecureSite(t);
  const other = await makeAuthority('director');
  const forged = await makeServer(other, ['127.0.0.1'], Date.now());
  for (const [name, served, words] of [
    [
      'its own',
      await c.serve(forged, other.certificate),
      /another authority[\s\S]*told: {2}[0-9a-f]{64}\n.*shown: [0-9a-f]{64}/,
    ],
    [
      'the right one beside its own certificate',
      await c.serve(forged),
      /cannot be reached: its certificate is not signed|another authority/,
    ],
  ] as const) {
    const ended = await c.ctl(['get', 'pools'], { env: { DSR_CONTROLLER: served.base } });
    t.match(ended, { code: 1, stdout: '', stderr: words }, name);
    t.strictSame(served.heard, [], name);
  }
});

t.test('what is wrong with a certificate is said, and what to do', async (t) => {
  const c = await startSecureSite(t);
  const at = (base: string, more: NodeJS.ProcessEnv = {}) =>
    c.ctl(['get', 'pools'], { env: { DSR_CONTROLLER: base, ...more } });
  const old = await c.serve(await makeServer(c.authority, ['127.0.0.1'], Date.now() - 500 * dayMs));
  t.match(await at(old.base), { code: 1, stderr: /its certificate has expired: compare the clocks/ });
  const early = await c.serve(await makeServer(c.authority, ['127.0.0.1'], Date.now() + 30 * dayMs));
  t.match(await at(early.base), { code: 1, stderr: /its certificate is not valid yet/ });
  const named = await c.serve(await makeServer(c.authority, ['192.0.2.10', 'director.example'], Date.now()));
  t.match(await at(named.base), {
    code: 1,
    stderr: /for other names: 192\.0\.2\.10, director\.example\. .*"tlsNames"/,
  });
  for (const served of [old, early, named]) t.strictSame(served.heard, []);
  t.match(await at(c.base.replace('https', 'http')), {
    code: 1,
    stderr: /it speaks HTTPS on this port, not plain HTTP. Write https:\/\/127/,
  });
  const plain = await startStub(t, (_, response) => response.end('{}'));
  const https = plain.base.replace('http', 'https');
  for (const pinned of [{}, { DSR_CA_SHA256: c.sha256 }])
    t.match(await dsrctl(['get', 'pools', '--controller', https], { env: pinned }), {
      code: 1,
      stderr: /it speaks plain HTTP on this port, not HTTPS/,
    });
});

t.test('root on the director needs neither flags nor a token', async (t) => {
  const c = await startSecureSite(t);
  const rootSocket = c.socket;
  t.match(await dsrctl(['get', 'pools'], { rootSocket }), { code: 0, stderr: '' });
  t.match(await dsrctl(['get', 'pools', '--controller', `unix:${rootSocket}`]), { code: 0, stderr: '' });
  t.match(await dsrctl(['audit'], { rootSocket }), { code: 0 }, 'as an administrator');
  const elsewhere = await dsrctl(['get', 'pools'], { rootSocket: '/nonexistent/socket' });
  if (elsewhere.code !== 0) t.match(elsewhere.stderr, 'http://127.0.0.1:7100');
  t.match(await dsrctl(['get', 'pools', '--controller', 'unix:/nonexistent/socket']), {
    code: 1,
    stderr: /there is no such socket\. Check that dsr-controller runs/,
  });
  await c.stop();
});

t.test(
  'who may not open the socket is told what to do',
  { skip: process.getuid?.() !== 0 && 'not root' },
  async (t) => {
    const c = await startSecureSite(t);
    // A node of its own, into which a test runner loads nothing.
    const plain = ['env', '-i', `PATH=${process.env.PATH}`, 'HOME=/nonexistent', 'TSX_DISABLE_CACHE=1'];
    const somebody = [...plain, 'setpriv', '--reuid=65534', '--regid=65534', '--clear-groups'];
    const ended = await run('src/cli/dsrctl.ts', ['status', '--controller', `unix:${c.socket}`], {}, somebody);
    t.match(ended, {
      code: 3,
      stdout: '',
      stderr: /may not open the socket\. Run as root, or give --controller and --token-file\n$/,
    });
  },
);

t.test('a file that is none is named', async (t) => {
  const c = await startSecureSite(t);
  const bad = join(c.dir, 'bad');
  writeFileSync(bad, 'two words\n');
  const asks = (...argv: string[]) => dsrctl(['get', 'pools', '--controller', c.base, ...argv]);
  t.match(await asks('--ca-sha256', c.sha256, '--token-file', bad), {
    code: 2,
    stderr: /bad holds no token: it is one line/,
  });
  t.match(await asks('--ca', bad), { code: 2, stderr: /bad holds no certificate as PEM/ });
  t.match(await asks('--ca', '/nonexistent'), {
    code: 2,
    stderr: /\/nonexistent cannot be read: there is no such file/,
  });
  t.match(await asks('--ca-sha256', 'abc'), { code: 2, stderr: /--ca-sha256: 64 hexadecimal digits/ });
  t.match(await dsrctl(['get', 'pools', '--controller', 'http://192.0.2.1:7100', '--token-file', bad]), {
    code: 2,
    stderr: /--token-file: it would go unencrypted/,
  });
});

t.test('who is refused is told how to show who it is, and what it may', async (t) => {
  const c = await startSecureSite(t);
  const as = (token: string, ...argv: string[]) => c.ctl(argv, { env: { DSR_TOKEN: token } });
  t.match(await as('nobodys', 'get', 'pools'), {
    code: 3,
    stderr: /UNAUTHENTICATED[\s\S]*\n {2}a token is given by --token-file or --token/,
  });
  const refused = await as(c.viewer, 'delete', 'pool', 'web');
  t.match(refused, {
    code: 3,
    stderr: /FORBIDDEN\): this token may only read, and this needs an administrator's token\n$/,
  });
});

t.test(`no token is in what is said of a failure (FC_SEED=${seed})`, async (t) => {
  const c = await startSecureSite(t);
  const stub = await startStub(t, (_, response) => response.writeHead(502).end('bad'));
  const config = join(c.dir, 'dsrctl.json');
  const env = { HOME: c.dir };
  const secret = fc.oneof(
    fc.stringMatching(/^[\x21-\x7e]{20,60}$/),
    fc.constant(c.viewer),
    fc.stringMatching(/^[\w-]{43}$/).map((text) => `dsr_0123456789abcdef_${text}`),
  );
  const commands = [
    ['status', '--controller', c.base],
    ['status', '--controller', c.base, '--ca-sha256', c.sha256],
    ['status', '--controller', c.base, '--ca-sha256', 'ab'.repeat(32)],
    ['status', '--controller', c.base.replace('https', 'http')],
    ['status', '--controller', stub.base],
    ['status', '--controller', 'http://127.0.0.1:9'],
    ['status', '--controller', 'http://192.0.2.1:7100'],
    ['login', c.base, '--ca-sha256', c.sha256, '--config', join(c.dir, 'token', 'dsrctl.json')],
    ['delete', 'pool', 'web', '--controller', c.base, '--ca-sha256', c.sha256],
    ['token', 'revoke', 'x', '--controller', c.base, '--ca-sha256', c.sha256],
    ['nothing'],
  ];
  await fc.assert(
    fc.asyncProperty(
      secret,
      fc.constantFrom(...commands),
      fc.constantFrom('flag', 'env', 'file', 'config', 'torn'),
      async (token, command, way) => {
        const tokenFile = join(c.dir, 'token');
        writeFileSync(tokenFile, way === 'torn' ? `${token} ${token}` : token);
        const text = JSON.stringify({ token });
        writeFileSync(config, way === 'torn' ? `${text.slice(0, -1)}]` : text);
        const more =
          {
            flag: ['--token', token],
            env: [],
            file: ['--token-file', tokenFile],
            config: ['--config', config],
            torn: command.length % 2 ? ['--config', config] : ['--token-file', tokenFile],
          }[way] ?? [];
        const { stdout, stderr } = await dsrctl([...command, ...more], {
          env: way === 'env' ? { ...env, DSR_TOKEN: token } : env,
        });
        const secretPart = token.startsWith('dsr_') ? token.slice(21) : token;
        return !(stdout + stderr).includes(secretPart);
      },
    ),
    { seed, numRuns: 150 },
  );
  const stray = `dsr_0123456789abcdef_${'x'.repeat(43)}`;
  for (const argv of [
    [stray],
    ['status', `--tokn=${stray}`],
    ['get', stray],
    ['get', 'pool', stray, '--controller', stub.base],
    ['--token', `${stray} `, 'status'],
  ])
    t.notMatch((await dsrctl(argv, { env })).stderr, 'xxxx', argv.join(' '));
});
