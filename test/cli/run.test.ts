import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import { root } from '../api/run.ts';
import { folder, webPool } from '../api/site.ts';
import { answering, dsrctl, startSite, startStub } from './site.ts';

const nowhere = 'http://127.0.0.1:9';

t.test('flags go before the environment, that before the config file, that before the default', async (t) => {
  const c = await startSite(t);
  const home = folder(t);
  mkdirSync(join(home, '.config'));
  const file = join(home, '.config', 'dsrctl.json');
  const asks = async (argv: string[], env: NodeJS.ProcessEnv) =>
    (await dsrctl(['get', 'pools', ...argv], { env })).code;
  writeFileSync(file, JSON.stringify({ controller: c.base }));
  t.equal(await asks([], { HOME: home }), 0, 'the config file');
  t.equal(await asks([], { HOME: '/nonexistent', XDG_CONFIG_HOME: join(home, '.config') }), 0, 'XDG_CONFIG_HOME');
  t.equal(await asks([], { HOME: home, XDG_CONFIG_HOME: '' }), 0, 'an empty one is none');
  t.equal(await asks(['--config', file], {}), 0, '--config');
  t.equal(await asks([], { HOME: home, DSR_CONTROLLER: nowhere }), 1);
  t.equal(await asks(['--controller', c.base], { HOME: home, DSR_CONTROLLER: nowhere }), 0);
  const defaults = await dsrctl(['get', 'pools'], { env: { HOME: '/nonexistent' } });
  if (defaults.code !== 0) t.match(defaults.stderr, 'http://127.0.0.1:7100');
});

t.test('a wrong setting ends with 2 and is named', async (t) => {
  const file = join(folder(t), 'dsrctl.json');
  const withFile = (text: string) => {
    writeFileSync(file, text);
    return dsrctl(['status', '--config', file]);
  };
  const remote = ['--controller', 'http://192.0.2.1:7100', '--token', 'secret'];
  for (const [ended, words] of [
    [await withFile('{"colour": "red"}'), `"colour" in ${file}: there is no such setting`],
    [await withFile('{"controller": 5}'), `"controller" in ${file}: `],
    [await withFile('{"controller": '), `the config file ${file} is not JSON`],
    [await withFile('[]'), `the config file ${file} is not a JSON object`],
    [await dsrctl(['status', '--config', '/nonexistent']), 'the config file /nonexistent cannot be read'],
    [await dsrctl(['status', '--controller', 'ftp://x']), "--controller: the controller's URL, such as"],
    [await dsrctl(['status'], { env: { DSR_CONTROLLER: 'x' } }), "DSR_CONTROLLER: the controller's URL, such as"],
    [await dsrctl(['status', '--token', 'a b']), '--token: a token without spaces'],
    [await dsrctl(['status', ...remote]), '--token: it would go unencrypted to http://192.0.2.1:7100'],
    [await dsrctl(['status', '--colour']), "unknown option '--colour'"],
    [await dsrctl(['stauts']), "unknown command 'stauts'\n(Did you mean status?)"],
    [await dsrctl(['status', 'a', 'b']), 'too many arguments'],
    [await dsrctl([]), 'a command is missing'],
    [await dsrctl(['delete', 'pool', 'web', '--wait', '2h']), 'At most 60s.'],
  ] as const) {
    t.match(ended, { code: 2, stdout: '' }, words);
    t.match(ended.stderr, words);
    t.ok(ended.stderr.startsWith('dsrctl: '));
  }
});

t.test('help and version go to the standard output', async (t) => {
  const { version } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8'));
  t.strictSame(await dsrctl(['--version']), { code: 0, stdout: `${version}\n`, stderr: '' });
  t.match(await dsrctl(['--help']), { code: 0, stdout: /DSR_CONTROLLER[\s\S]*Exit codes: 0 fine/, stderr: '' });
  t.match(await dsrctl(['set', 'real-server', '--help']), { code: 0, stdout: /pool\/server/, stderr: '' });
  t.notMatch((await dsrctl(['--help'])).stdout, '__complete');
});

t.test('a controller that is down or is none is one sentence, with the address and what to check', async (t) => {
  const html = await startStub(t, (_, response) => response.end('<html>'));
  const busy = await startStub(t, (_, response) => response.writeHead(502).end('bad gateway'));
  const other = await startStub(t, answering({ '/v1/status': { ok: true }, '/v1/pools': [] }));
  const cut = await startStub(t, (_, response) => response.destroy());
  for (const [base, words] of [
    [nowhere, /cannot be reached: .*\. Check that dsr-controller runs, and that the setting "controller"/],
    [html.base, /answers to v1\/\w+ is not understood: that is no dsr-controller/],
    [busy.base, /answers 502: that is no dsr-controller, or something in front of one/],
    [other.base, /answers to v1\/\w+ is not understood/],
    [cut.base, /cannot be reached: it ended the connection/],
  ] as const)
    for (const command of [['status'], ['get', 'pools'], ['drain', 'rs1'], ['top'], ['export']]) {
      const ended = await dsrctl([...command, '--controller', base]);
      t.match(ended, { code: 1, stdout: '', stderr: words }, `${command[0]} ${base}`);
      t.equal(ended.stderr.split('\n').length, 2, 'one line');
      t.match(ended.stderr, base);
    }
});

t.test('a controller that wants a token ends with 3, and gets the one that is given', async (t) => {
  const c = await startSite(t);
  const { base } = await startStub(t, (request, response) => {
    if (request.headers.authorization === 'Bearer secret')
      return answering({ '/v1/agents': { agents: {} } })(request, response);
    response.writeHead(401, { 'content-type': 'application/problem+json' });
    response.end(
      JSON.stringify({ type: 'about:blank', title: 'No', status: 401, code: 'UNAUTHORIZED', detail: 'a token' }),
    );
  });
  const argv = ['get', 'agents', '--controller', base];
  t.match(await c.ctl(argv), {
    code: 3,
    stdout: '',
    stderr: /No \(UNAUTHORIZED\): a token\n {2}a token is given by --token/,
  });
  t.match(await c.ctl([...argv, '--token', 'secret']), { code: 0 });
  t.match(await c.ctl(argv, { env: { DSR_TOKEN: 'secret' } }), { code: 0 });
});

t.test('a controller behind a path is asked there', async (t) => {
  const { base } = await startStub(t, answering({ '/dsr/v1/agents': { agents: {} } }));
  for (const end of ['/dsr', '/dsr/'])
    t.match(await dsrctl(['get', 'agents', '--controller', base + end]), { code: 0 });
});

t.test('nothing that the API says reaches the terminal raw', async (t) => {
  const trap = 'a\u001b[2J\u009b31m\u0007\u202eb';
  const head = { storedRevision: 1, reconciledRevision: 1, interface: trap, problems: [trap] };
  const counts = { pools: 1, realServers: 0, serving: 0, destinations: 0, draining: 0 };
  const pool = {
    vip: trap,
    ports: { [trap]: { policy: trap } },
    realServers: { [trap]: { address: trap, weight: 1, state: trap } },
  };
  const stub = await startStub(t, (request, response) => {
    if (request.method !== 'GET') {
      response.writeHead(400, { 'content-type': 'application/problem+json' });
      const problem = { type: trap, title: trap, status: 400, code: trap, detail: trap };
      const errors = request.method === 'POST' ? { errors: [{ path: trap, message: trap }] } : {};
      response.end(JSON.stringify({ ...problem, ...errors }));
      return;
    }
    const agent = { addresses: [trap], vips: {}, problems: [trap], revision: 1, lastReport: null };
    answering({
      '/v1/status': { ...head, counts, pools: {}, unwell: [{ pool: trap, reason: trap }] },
      '/v1/pools': { revision: 1, pools: { [trap]: pool } },
      '/v1/agents': { agents: { [trap]: agent } },
      '/v1/events': { events: [{ id: 1, time: trap, type: trap, message: trap, pool: trap }] },
      '/v1/doctor': { findings: [{ check: trap, host: trap, level: 'problem', what: trap, why: trap, fix: [trap] }] },
    })(request, response);
  });
  const document = JSON.stringify({ pools: { web: webPool() } });
  // biome-ignore lint/suspicious/noControlCharactersInRegex: what is looked for
  const raw = /[\u0000-\u0009\u000b-\u001f\u007f-\u009f\u202e]/;
  const commands =
    'status|get pools|get real-servers|get agents|events|doctor|export|drain rs1|delete pool x|set pool x a=1|plan -f -|apply -f - --dry-run|status --json|get pools --json|events --json';
  for (const command of commands.split('|')) {
    const around = { stdin: document, tty: true, env: { NO_COLOR: '1' } };
    const { stdout, stderr } = await dsrctl([...command.split(' '), '--controller', stub.base], around);
    t.notMatch(stdout + stderr, raw, command);
    t.match(stdout + stderr, /\\u/, `${command} shows that there was something`);
  }
});
