import t from 'tap';
import { vip } from '../../infra/lab/hosts.ts';
import { startImages } from '../../infra/lab/parts.ts';
import { startFrontOn, startOrigin, urlPort } from './handoff-site.ts';
import { holdersOf, ipvs } from './kernel.ts';
import { makeSite } from './site.ts';

const site = await makeSite(t);
const { api, client, director, rs1, rs2, until } = site;
await startOrigin(director);
const servers = [await startImages(rs1, { count: 3, bytes: 5000 }), await startImages(rs2, { count: 3, bytes: 5000 })];
await site.startController();
startFrontOn(site);
// No agent runs: these servers might be anywhere.
await api.put('web', {
  vip,
  ports: {
    '80/tcp': urlPort({
      engine: 'redirect',
      check: undefined,
      redirect: { code: 307, hosts: { rs1: rs1.ip, rs2: `${rs2.ip}:80` } },
    }),
  },
  realServers: { rs1: { address: rs1.ip }, rs2: { address: rs2.ip } },
});

/** Status, where it was sent, and who answered in the end. */
async function ask(path: string, follow = true): Promise<{ status: string; where: string; served: string }> {
  const flags = ['-s', '-i', ...(follow ? ['-L'] : []), '--max-time', '20'];
  const { stdout } = await client.exec(['curl', ...flags, '-w', '\n%{http_code}', `http://${vip}${path}`]);
  const text = String(stdout);
  return {
    status: text.slice(-3),
    where: /^location: (.*)\r$/im.exec(text)?.[1] ?? '',
    served: /^x-served-by: (.*)\r$/im.exec(text)?.[1] ?? '',
  };
}
const askOften = async () => {
  const served = [];
  for (let i = 0; i < 12; i++) served.push((await ask(`/images/${1 + (i % 3)}.jpg?n=${i}`)).served);
  return [...new Set(served)].sort();
};

t.test('images are answered by the servers that clients are sent to, the rest by the director', async (t) => {
  await until(async () => (await ask('/images/1.jpg')).served !== '', 'a first redirect');
  await until(async () => (await askOften()).length === 2, 'both to be used');
  const { status, where } = await ask('/images/2.jpg?a=%20b', false);
  t.equal(status, '307');
  t.match(where, /^http:\/\/192\.0\.2\.1[12](:80)?\/images\/2\.jpg\?a=%20b$/);
  t.match(await ask('/index.php'), { status: '200', where: '', served: '' });
  t.same(await ipvs(director), [], 'no service is needed');
  t.same(await holdersOf(rs1, vip), [], 'nor the VIP');
});

t.test('nobody is sent to a server that is out, or that does not accept connections', async (t) => {
  await api.call('PATCH', '/v1/pools/web/real-servers/rs1', { state: 'drain' });
  await until(async () => (await askOften()).join() === 'rs2', 'rs1 to be left alone');
  await api.call('PATCH', '/v1/pools/web/real-servers/rs1', { state: 'active' });
  await servers[1]!.end('SIGKILL');
  await until(async () => (await askOften()).join() === 'rs1', 'rs2 to be left alone');
  await servers[0]!.end('SIGKILL');
  await until(async () => (await ask('/images/small.jpg')).where === '', 'the director to answer by itself');
  t.match(await ask('/images/small.jpg'), { status: '200', where: '' });
});
