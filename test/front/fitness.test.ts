import { once } from 'node:events';
import { type AddressInfo, createServer } from 'node:net';
import t from 'tap';
import { createFitness, portOf } from '../../src/front/fitness.ts';
import type { FrontPort } from '../../src/handoff-schema.ts';

const portWith = (port: number): FrontPort => ({
  pool: 'web',
  vip: '192.0.2.100',
  port: 80,
  policy: {
    policy: 'url',
    engine: 'redirect',
    rules: [{ match: { extensions: ['jpg'] }, to: 'real-servers' }],
    otherwise: 'director',
    affinity: 'none',
    redirect: { code: 302, local: '127.0.0.1:8080', hosts: { rs1: `img1.example.com:${port}` } },
  },
  servers: [
    { name: 'rs1', address: '127.0.0.1', weight: 1, isDirector: false },
    { name: 'rs2', address: '127.0.0.1', weight: 1, isDirector: false },
  ],
});

t.test('a server is fit once it accepts, and unfit after three failures in a row', async (t) => {
  const server = createServer((socket) => socket.destroy()).listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  const changes: boolean[] = [];
  let told = () => {};
  const next = () =>
    new Promise<void>((resolve) => {
      told = resolve;
    });
  const fitness = createFitness({
    everyMs: 10,
    changed: (where, isFit) => {
      t.equal(where, `127.0.0.1 ${port}`);
      changes.push(isFit);
      told();
    },
  });
  let change = next();
  fitness.use([portWith(port)]);
  t.notOk(fitness.isFit('127.0.0.1', port), 'nobody knows yet');
  await change;
  t.ok(fitness.isFit('127.0.0.1', port));
  t.notOk(fitness.isFit('127.0.0.1', port + 1));
  change = next();
  server.close();
  await change;
  t.notOk(fitness.isFit('127.0.0.1', port));
  fitness.use([]);
  t.same(changes, [true, false]);
  fitness.stop();
});

t.test('a host name may have a port', async (t) => {
  t.equal(portOf('img1.example.com'), 80);
  t.equal(portOf('img1.example.com:8080'), 8080);
});
