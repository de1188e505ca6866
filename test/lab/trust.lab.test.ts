import { readdir, readFile, stat } from 'node:fs/promises';
import { join } from 'node:path';
import t from 'tap';
import type { Host } from '../../infra/lab/host.ts';
import { vip } from '../../infra/lab/hosts.ts';
import { startImages } from '../../infra/lab/parts.ts';
import { fetchImages } from './images.ts';
import { ipvs } from './kernel.ts';
import { agentFile, controllerFile, makeSite, ours } from './site.ts';

const site = await makeSite(t);
const { client, director, rs1, rs2, until } = site;
const socket = '/var/lib/dsr/controller.sock';
const url = `https://${director.ip}:7100`;
const settings = { interface: 'eth0', listen: `${director.ip}:7100`, socket };
const joined = { config: '/var/lib/dsr/joined.json' };

/** Starts the controller as an operator does: with TLS and tokens. */
const startController = async () => {
  const controller = director.spawn('controller', ours(controllerFile, settings));
  await until(async () => (await asRoot('GET', '/healthz')).status === 'ok', 'the controller to answer its socket');
  return controller;
};

// biome-ignore lint/suspicious/noExplicitAny: tests look into whatever came
type Json = any;

/** Asks over the socket that only root may open. */
async function asRoot(method: string, path: string, body?: unknown): Promise<Json> {
  const data = body === undefined ? [] : ['-H', 'content-type: application/json', '-d', JSON.stringify(body)];
  const { stdout } = await director.exec(
    ['curl', '-s', '-X', method, '--unix-socket', socket, ...data, `http://director${path}`],
    { reject: false },
  );
  return JSON.parse(String(stdout) || '{}');
}

const invite = (agent: string, more: object = {}) => asRoot('POST', '/v1/invitations', { agent, ...more });

/** Runs the line that was printed for this host. */
const joinWith = (host: Host, command: string) => {
  const [, ...words] = command.split(' ');
  return host.exec([...ours(agentFile, {}), ...words, '--config', joined.config], { reject: false, timeout: 180_000 });
};

const serve = [`-A -t ${vip}:80 -s rr`, ...[rs1, rs2].map((rs) => `-a -t ${vip}:80 -r ${rs.ip}:80 -g -w 100`)].sort();
const bothServe = () => until(async () => (await ipvs(director)).join() === serve.join(), 'both to carry traffic');

for (const rs of [rs1, rs2]) await startImages(rs, { count: 3, bytes: 2000 });
let controller = await startController();

t.test('who was invited joins over TLS, and carries traffic', async (t) => {
  const pool = {
    vip,
    ports: { '80/tcp': { policy: 'real-servers', scheduler: 'rr' } },
    realServers: { rs1: { address: rs1.ip }, rs2: { address: rs2.ip } },
  };
  t.match(await asRoot('PUT', '/v1/pools/web', pool), { revision: Number });
  for (const rs of [rs1, rs2]) {
    const { command } = await invite(rs.name);
    const { stdout, stderr, exitCode } = await joinWith(rs, command);
    t.equal(exitCode, 0, String(stderr));
    t.match(stdout, `this host has joined ${url} as "${rs.name}"`);
    rs.spawn('agent', ours(agentFile, joined));
  }
  await bothServe();
  const fetched = await fetchImages(client, vip, 20);
  t.strictSame([...new Set(fetched.map(({ servedBy }) => servedBy))].sort(), ['rs1', 'rs2']);
});

t.test('nothing that is secret may be read by others', async (t) => {
  for (const host of [director, rs1]) {
    const dir = join(host.dir, 'state');
    for (const name of await readdir(dir)) {
      const { mode } = await stat(join(dir, name));
      if (name !== 'joined.json') t.equal(mode & 0o077, 0, `${host.name}: ${name} is root's alone`);
    }
  }
  const sent = JSON.stringify(JSON.parse(await readFile(join(rs1.dir, 'state/joined.json'), 'utf8')));
  t.notMatch(sent, /dsr_[0-9a-f]{16}_/, 'no token in the config file');
});

t.test('an invitation is good once, for its time, and for the authority that it names', async (t) => {
  const refused = async (host: Host, command: string, code: number, words: RegExp) => {
    const { exitCode, stderr } = await joinWith(host, command);
    t.equal(exitCode, code, String(stderr));
    t.match(stderr, words);
  };
  const { command } = await invite('rs1');
  const foreign = command.replace(/[0-9a-f]{64}$/, 'ab'.repeat(32));
  await refused(rs1, foreign, 1, /another authority.*nothing was sent/s);
  await refused(director, command, 2, /this is the director/);
  t.equal((await joinWith(rs1, command)).exitCode, 0, 'after all that it is still good');
  await refused(rs1, command, 3, /refused this host: this token is not known here: .*used up/);
  const short = await invite('rs1', { expiresInSeconds: 1 });
  await until(async () => Date.now() > Date.parse(short.expires), 'its end');
  await refused(rs1, short.command, 3, /has expired.*dsrctl agent invite/s);
  await refused(rs1, command.replace('https:', 'http:'), 2, /begins with https/);
  await refused(rs1, command.replace(/--token \S+/, '--token x'), 2, /copy the whole line/);
  await refused(rs1, command.replace(':7100', ':7199'), 1, /7199|ECONNREFUSED|connect/);
  // The running agent finds the token of the second join by itself.
  await bothServe();
});

t.test('from elsewhere it is HTTPS with a token, or a refusal in words', async (t) => {
  const curl = async (...words: string[]) =>
    String((await client.exec(['curl', '-s', '-k', '--max-time', '10', ...words], { reject: false })).stdout);
  t.match(await curl(`${url}/v1/status`), /"code":"UNAUTHENTICATED"/);
  t.notMatch(await curl(`http://${director.ip}:7100/v1/status`), /storedRevision/);
  t.match(await curl(`${url}/healthz`), /ok/);
  const { token } = await asRoot('POST', '/v1/tokens', { role: 'viewer', name: 'test' });
  t.match(await curl('-H', `authorization: Bearer ${token}`, `${url}/v1/status`), /"storedRevision":\d/);
  const { entries } = await asRoot('GET', '/v1/audit');
  t.match(entries.at(-1), { who: 'root', what: 'POST /v1/tokens', from: null });
  t.ok(entries.some(({ from, status }: Json) => from === client.ip && status === 401));
});

t.test('the controller is killed and comes back: same authority, same tokens, and nobody joins again', async (t) => {
  const before = (await invite('rs3')).caSha256;
  await controller.end('SIGKILL');
  controller = await startController();
  t.equal((await invite('rs3')).caSha256, before);
  const since = new Date().toISOString();
  await until(async () => {
    const { agents } = await asRoot('GET', '/v1/agents');
    return ['rs1', 'rs2'].every((name) => agents[name]?.lastReport > since);
  }, 'both agents to report again');
  await bothServe();
});

t.test('an agent whose token is taken away says so, traffic goes on, and a new invitation mends it', async (t) => {
  const { tokens } = await asRoot('GET', '/v1/tokens');
  const { id } = tokens.find(({ role, name }: Json) => role === 'agent' && name === 'rs1');
  t.strictSame(await asRoot('DELETE', `/v1/tokens/${id}`), { revoked: id });
  await until(
    async () => /silent/.test((await asRoot('GET', '/v1/status?pool=web')).pools.web.realServers.rs1.reason),
    'the silence to be told',
  );
  t.strictSame(await ipvs(director), serve, 'its last word holds');
  const { command } = await invite('rs1');
  t.equal((await joinWith(rs1, command)).exitCode, 0);
  await until(
    async () => !/silent/.test((await asRoot('GET', '/v1/status?pool=web')).pools.web.realServers.rs1.reason),
    'it to speak again',
  );
  await bothServe();
});
