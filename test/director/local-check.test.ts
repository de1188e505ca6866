import { once } from 'node:events';
import { type AddressInfo, createServer } from 'node:net';
import t, { type Test } from 'tap';
import { type Connect, connectLocally } from '../../src/director/local-check.ts';
import { type Site, startSite, vip, web } from './site.ts';

const key = `${vip}:8080/tcp`;
const ports = { '8080/tcp': { policy: 'director' } };

/** A site whose port 8080 stays on the director, where something listens; connections end as the test says. */
async function localSite(t: Test, { put = web({}, { ports }), manageVip = true } = {}) {
  const tried: string[] = [];
  const is = { code: undefined as string | undefined, listens: true };
  const connect: Connect = async (address, port) => {
    tried.push(`${address}:${port}`);
    return is.code;
  };
  const site = startSite(t, { connect, manageVip });
  site.kernel.listeners = () => new Map(is.listens ? [[8080, 'wildcard' as const]] : []);
  await site.put(put);
  await site.reconciled();
  return { site, is, tried };
}

const result = (site: Site, code: string | undefined) =>
  site.waitFor(
    `the connection ends with ${code}`,
    ({ connections }) => connections.has(key) && connections.get(key) === code,
  );
const news = (site: Site) => [site.told('director-port-down').length, site.told('director-port-up').length];

t.test('a port that stays on the director is connected to again and again', async (t) => {
  const { site, tried } = await localSite(t);
  await result(site, undefined);
  await site.waitFor('a second one', () => tried.length > 1);
  t.strictSame([...new Set(tried)], [`${vip}:8080`]);
  t.strictSame(news(site), [0, 0], 'that all is well from the beginning is no news');
});

t.test('a change of how it is answered is an event', async (t) => {
  const { site, is } = await localSite(t);
  await result(site, undefined);
  is.code = 'ETIMEDOUT';
  await result(site, 'ETIMEDOUT');
  t.match(site.told('director-port-down'), [/but does not accept a connection to 192\.0\.2\.100:8080 within 500 ms/]);
  is.code = undefined;
  await result(site, undefined);
  t.match(site.told('director-port-up'), [/a connection to 192\.0\.2\.100:8080 is accepted$/]);
  is.listens = false;
  await site.waitFor('nobody listens', ({ listening }) => listening.get(key) === false);
  t.match(site.told('director-port-down').at(-1), /nothing listens/);
  t.strictSame(news(site), [2, 1]);
});

t.test('that something listens again is not told before it accepts a connection', async (t) => {
  const { site, is } = await localSite(t);
  await result(site, undefined);
  is.listens = false;
  await site.waitFor('nobody listens', ({ listening }) => listening.get(key) === false);
  Object.assign(is, { listens: true, code: 'ECONNREFUSED' });
  await result(site, 'ECONNREFUSED');
  t.strictSame(news(site), [2, 0]);
});

t.test('a pass does not wait for a connection that hangs', async (t) => {
  let end: (code: string | undefined) => void = () => {};
  const site = startSite(t, { connect: () => new Promise((resolve) => (end = resolve)) });
  site.kernel.listeners = () => new Map([[8080, 'wildcard']]);
  await site.put(web({}, { ports }));
  const { connections } = await site.reconciled();
  t.equal(connections.size, 0);
  await site.put(web({}, { ports: { ...ports, '80/tcp': { policy: 'real-servers' } } }));
  await site.reconciled();
  end('ETIMEDOUT');
  await result(site, 'ETIMEDOUT');
});

t.test('without a listener or the VIP, of UDP, and where IPVS balances, nothing is connected to', async (t) => {
  const udp = await localSite(t, { put: web({}, { ports: { '8080/udp': { policy: 'director' } } }) });
  const away = await localSite(t, { manageVip: false });
  const silent = await localSite(t, { put: web({}, { ports: { '8081/tcp': { policy: 'director' } } }) });
  const local = await localSite(t, {
    put: web({ self: { address: '192.0.2.1' } }, { ports: { '8080/tcp': { policy: 'real-servers' } } }),
  });
  for (const { site, tried } of [udp, away, silent, local]) {
    const before = site.director.last();
    await site.waitFor('another pass', (last) => last !== before);
    t.strictSame(tried, []);
  }
});

t.test('a service that somebody puts on such a port is not connected to', async (t) => {
  const { site, tried } = await localSite(t);
  await result(site, undefined);
  site.kernel.refuse = (step) => (step.op === 'delete-service' ? 'EPERM' : undefined);
  const id = { vip, port: 8080, protocol: 'tcp' as const };
  const config = { scheduler: 'rr', schedulerBits: [], persistenceSeconds: 0, persistencePrefix: 32, onePacket: false };
  site.kernel.disturb((w) => w.services.set(key, { id, config, destinations: [] }));
  const { connections } = await site.waitFor('it is seen', ({ look }) => look.services.has(key));
  t.equal(connections.size, 0);
  const count = tried.length;
  const before = site.director.last();
  await site.waitFor('another pass', (last) => last !== before);
  t.equal(tried.length, count);
});

t.test('a plain connection tells whether it is accepted, refused, or not answered in time', async (t) => {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  t.equal(await connectLocally('127.0.0.1', port, 5000), undefined);
  server.close();
  await once(server, 'close');
  t.equal(await connectLocally('127.0.0.1', port, 5000), 'ECONNREFUSED');
});
