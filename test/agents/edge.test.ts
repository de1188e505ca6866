import { once } from 'node:events';
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import { get as getTls } from 'node:https';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import selfsigned from 'selfsigned';
import t, { type Test } from 'tap';
import { createEdge } from '../../agents/edge.ts';
import type { EdgeSettings } from '../../agents/settings.ts';
import { freePort } from '../../infra/lab/free-port.ts';
import { waitFor } from '../../infra/lab/wait.ts';
import { edgeMarker, edgePath } from '../../src/core/url/edge-nginx.ts';
import { type AgentDesired, agentDesiredSchema } from '../../src/schema.ts';
import { exchange, nginxFiles, startNginx } from '../nginx.ts';

t.setTimeout(120_000);
const vip = '127.0.0.1';
const program = '/usr/sbin/nginx';

/** A host with a real nginx, the agent's part that looks after it, and a director's web server. */
async function makeHost(t: Test, more: Partial<EdgeSettings> = {}) {
  const dir = t.testdir();
  const [port, other] = [await freePort(), await freePort()];
  const asked: string[] = [];
  const origin = createServer((request, response) => {
    asked.push(`${request.method} ${request.url} for ${request.headers['x-forwarded-for']}`);
    response.end(`director ${asked.length}`);
  }).listen(0, vip);
  await once(origin, 'listening');
  t.teardown(() => origin.close());
  const files = nginxFiles(dir, `  server { listen ${vip}:${other}; }`);
  mkdirSync(join(dir, 'root/img'));
  writeFileSync(join(dir, 'root/img/a.jpg'), 'on disk');
  const nginx = await startNginx(files, other);
  t.teardown(() => nginx.stop());
  const words = ['-c', files.main, '-e', 'stderr'];
  const settings: EdgeSettings = {
    root: join(dir, 'root'),
    file: join(dir, 'state/edge.conf'),
    cache: join(dir, 'cache'),
    validate: [program, '-t', '-q', ...words],
    reload: [program, '-s', 'reload', ...words],
    ...more,
  };
  const stateDir = join(dir, 'state');
  mkdirSync(stateDir);
  const address = `${vip}:${(origin.address() as AddressInfo).port}`;
  const make = (some: Partial<EdgeSettings> = {}) =>
    createEdge({ settings: { ...settings, ...some }, stateDir, controllerAddresses: () => [vip], log: () => {} });
  const rules = [{ match: { extensions: ['jpg'] }, to: 'real-servers' }];
  const desired = (edge: object = {}): AgentDesired =>
    agentDesiredSchema.parse({
      revision: 1,
      vips: [
        {
          vip,
          address: vip,
          ports: [`${port}/tcp`],
          edge: { [`${port}/tcp`]: { rules, otherwise: 'director', origin: address, ...edge } },
        },
      ],
    });
  const get = async (path: string) =>
    (await exchange(port, Buffer.from(`GET ${path} HTTP/1.0\r\nX-Forwarded-For: 6.6.6.6\r\n\r\n`), 10_000)).split(
      '\r\n\r\n',
    )[1];
  return { dir, port, asked, origin, make, desired, get, key: `${vip} ${port}/tcp`, file: settings.file ?? '' };
}

t.test('that nobody answers at the director is told, and takes nothing out of service', async (t) => {
  const { origin, make, desired, key } = await makeHost(t);
  t.strictSame([...(await make().reconcile(desired()))], [[key, { serving: true }]]);
  origin.closeAllConnections();
  origin.close();
  await once(origin, 'close');
  const [[, found] = []] = [...(await make().reconcile(desired()))];
  t.match(found, {
    serving: true,
    problem: undefined,
    originProblem: /^nobody answers at 127\.0\.0\.1:\d+, .*ECONNREFUSED/,
  });
});

const nothing = agentDesiredSchema.parse({ revision: 2, vips: [] });

t.test('it is written, taken, answers by the rules, and goes when the pool does', async (t) => {
  const { make, desired, key, get, asked, file } = await makeHost(t);
  const edge = make();
  t.strictSame([...(await edge.reconcile(nothing))], []);
  t.notOk(existsSync(file), 'nothing is written where nothing is wanted');
  t.strictSame([...(await edge.reconcile(desired()))], [[key, { serving: true }]]);
  t.equal(await get('/img/a.jpg'), 'on disk');
  t.equal(await get('/img/b.jpg'), 'director 1', 'what is missing is fetched');
  t.equal(await get('/img/b.jpg'), 'director 1', 'once');
  t.equal(await get('/a.php'), 'director 2');
  t.strictSame(
    asked,
    ['GET /img/b.jpg for 127.0.0.1', 'GET /a.php for 127.0.0.1'],
    'what clients say of themselves is dropped',
  );
  const purged = [{ path: '/img/', generation: 5 }];
  t.strictSame([...(await edge.reconcile(desired({ purged })))], [[key, { serving: true }]]);
  // For a moment the old workers of nginx answer too.
  const becomes = (words: string) => waitFor(async () => (await get('/img/b.jpg')) === words, { what: words });
  await becomes('director 3');
  await edge.reconcile(desired({ generation: 9 }));
  await becomes('director 4');
  await edge.reconcile(nothing);
  t.notOk(existsSync(file));
});

t.test('what somebody changed or deleted is written again; another start changes nothing', async (t) => {
  const { make, desired, file, get } = await makeHost(t);
  await make().reconcile(desired());
  const text = readFileSync(file, 'utf8');
  writeFileSync(file, `${edgeMarker}\n`);
  const edge = make();
  await edge.reconcile(desired());
  t.equal(readFileSync(file, 'utf8'), text);
  writeFileSync(file, text.replace('merge_slashes on', 'merge_slashes off'));
  await edge.reconcile(desired());
  t.equal(readFileSync(file, 'utf8'), text);
  // Would fail if it were run.
  const idle = make({ validate: ['/bin/false'], reload: ['/bin/false'] });
  t.match([...(await idle.reconcile(desired())).values()], [{ serving: true, problem: undefined }]);
  t.equal(await get('/img/a.jpg'), 'on disk');
  await edge.teardown();
  t.notOk(existsSync(file));
});

t.test('what nginx does not take is not installed, and the good one before goes on', async (t) => {
  const { make, desired, file, get } = await makeHost(t);
  const edge = make({ certificate: '/nowhere/cert.pem', key: '/nowhere/key.pem' });
  await edge.reconcile(desired());
  const text = readFileSync(file, 'utf8');
  const [found] = [...(await edge.reconcile(desired({ tls: true }))).values()];
  t.match(found, { serving: false, problem: /the one before stays:.*cannot load certificate "\/nowhere\/cert.pem"/ });
  t.equal(readFileSync(file, 'utf8'), text);
  t.equal(await get('/img/a.jpg'), 'on disk', 'the old one answers');
  t.match(
    [...(await edge.reconcile(desired({ tls: true }))).values()],
    [{ problem: /nowhere/ }],
    'and is not tried all the time',
  );
  t.match([...(await edge.reconcile(desired())).values()], [{ serving: true, problem: undefined }]);
});

t.test('without a good one before, none is left behind', async (t) => {
  const { make, desired, file } = await makeHost(t);
  const edge = make({ certificate: '/nowhere/cert.pem', key: '/nowhere/key.pem' });
  t.match([...(await edge.reconcile(desired({ tls: true }))).values()], [{ serving: false, problem: /nowhere/ }]);
  t.notOk(existsSync(file));
});

t.test('a file of somebody else is never touched', async (t) => {
  const { make, desired, file } = await makeHost(t);
  writeFileSync(file, '# mine\n');
  const edge = make();
  for (const wanted of [desired(), nothing]) {
    const found = [...(await edge.reconcile(wanted)).values()];
    if (wanted !== nothing) t.match(found, [{ serving: false, problem: /was not written by dsr-agent/ }]);
    t.equal(readFileSync(file, 'utf8'), '# mine\n');
  }
  await edge.teardown();
  t.equal(readFileSync(file, 'utf8'), '# mine\n');
});

t.test('why nobody answers is told in words', async (t) => {
  const { make, desired, dir } = await makeHost(t);
  const found = async (some: Partial<EdgeSettings>, edge: object = {}) =>
    [...(await make(some).reconcile(desired(edge))).values()][0];
  t.match(await found({ file: join(dir, 'elsewhere.conf') }), {
    serving: false,
    problem: /put "include" with that file/,
  });
  t.match(await found({ validate: ['/nowhere/nginx'] }), { serving: false, problem: /ENOENT/ });
  t.match(await found({ file: join(dir, 'nowhere/dsr.conf') }), { serving: false, problem: /ENOENT/ });
  t.match(await found({}, { origin: '192.0.2.99:80' }), {
    serving: false,
    problem: /not an address of this agent's controller/,
  });
  const without = createEdge({ settings: undefined, stateDir: dir, controllerAddresses: () => [], log: () => {} });
  t.match(
    [...(await without.reconcile(desired())).values()],
    [{ serving: false, problem: /set "edge" in its config/ }],
  );
  await without.teardown();
});

t.test('TLS with a certificate of the operator, whose end is told, and whose successor is read', async (t) => {
  const certify = () => selfsigned.generate([{ name: 'commonName', value: 'example.com' }], { keySize: 2048 });
  const dir = t.testdir();
  const [certificate, key] = [join(dir, 'cert.pem'), join(dir, 'key.pem')];
  const put = async () => {
    const made = await certify();
    writeFileSync(certificate, made.cert);
    writeFileSync(key, made.private);
  };
  await put();
  await t.test('with it', async (t) => {
    const { make, desired, port } = await makeHost(t, { certificate, key });
    const shown = () =>
      new Promise<string>((resolve, reject) => {
        getTls({ host: vip, port, path: edgePath, rejectUnauthorized: false, agent: false }, (response) => {
          resolve((response.socket as import('node:tls').TLSSocket).getPeerCertificate().fingerprint256);
          response.resume();
        }).on('error', reject);
      });
    const edge = make();
    t.match(
      [...(await edge.reconcile(desired({ tls: true }))).values()],
      [{ serving: true, certificateExpires: /^20\d\d-/ }],
    );
    const first = await shown();
    await put();
    await edge.reconcile(desired({ tls: true }));
    await waitFor(async () => (await shown()) !== first, { what: 'the new certificate' });
  });
});
