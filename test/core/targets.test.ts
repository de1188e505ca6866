import t from 'tap';
import { checkSchema } from '../../src/check-schema.ts';
import { targetKey, targetOf, targetsOf } from '../../src/core/targets.ts';
import { poolsSchema } from '../../src/schema.ts';

const vip = '192.0.2.100';
const balanced = { policy: 'real-servers' };
const [rs1, rs2] = ['192.0.2.11', '192.0.2.12'];
const key = (port: string, check: object, address = rs1!) =>
  targetKey(targetOf(vip, address, port, checkSchema.parse(check)));

t.test('every balanced port of every real server is checked: by its own check, the pool’s, or plain tcp', async (t) => {
  const pool = {
    vip,
    ports: {
      '80/tcp': { ...balanced, check: { type: 'http', path: '/health' } },
      '53/udp': balanced,
      '8080/tcp': { policy: 'director' },
    },
    realServers: { rs1: { address: rs1 }, rs2: { address: rs2 } },
  };
  const targets = targetsOf(
    poolsSchema.parse({
      web: { ...pool, check: { type: 'dns', name: 'example.com' } },
      empty: { ...pool, vip: '192.0.2.101', realServers: {} },
    }),
    new Set(),
  );
  t.match(targets, [
    { vip, address: rs1, port: 80, protocol: 'tcp', check: { type: 'http', path: '/health' } },
    { vip, address: rs2, port: 80, protocol: 'tcp', check: { type: 'http' } },
    { vip, address: rs1, port: 53, protocol: 'udp', check: { type: 'dns', name: 'example.com' } },
    { vip, address: rs2, port: 53, protocol: 'udp', check: { type: 'dns' } },
  ]);
  t.equal(targets.length, 4);
  const plain = targetsOf(poolsSchema.parse({ web: { ...pool, ports: { '25/tcp': balanced } } }), new Set());
  t.match(plain[0], { port: 25, check: { type: 'tcp', intervalMs: 1000 } });
});

t.test('a UDP port is checked by what its pool says only where that can speak for UDP', async (t) => {
  const ports = { '53/udp': balanced };
  const typesFor = (check?: object) =>
    targetsOf(poolsSchema.parse({ dns: { vip, ports, realServers: { rs1: { address: rs1 } }, check } }), new Set()).map(
      (target) => target.check.type,
    );
  t.strictSame(typesFor(), [], 'nothing is known of it that could be asked');
  t.strictSame(typesFor({ type: 'http' }), []);
  t.strictSame(typesFor({ type: 'http', port: 8080 }), ['http'], 'a port of health');
  t.strictSame(typesFor({ type: 'dns', name: 'example.com' }), ['dns']);
  t.strictSame(typesFor({ type: 'udp', payload: { text: '' } }), ['udp']);
  t.strictSame(typesFor({ type: 'exec', program: 'look' }), ['exec']);
});

t.test('what is in maintenance and the director itself is not checked; what drains is', async (t) => {
  const realServers = {
    rs1: { address: rs1, state: 'maintenance' },
    rs2: { address: rs2, state: 'drain' },
    self: { address: '192.0.2.1' },
  };
  const pools = poolsSchema.parse({ web: { vip, ports: { '80/tcp': balanced }, realServers } });
  t.strictSame(
    targetsOf(pools, new Set(['192.0.2.1'])).map(({ address }) => address),
    [rs2],
  );
});

t.test('one check answers for all that ask the same of the same server', async (t) => {
  t.equal(key('80/tcp', { type: 'tcp' }), key('80/tcp', { type: 'tcp', intervalMs: 1000 }));
  t.equal(
    key('80/tcp', { type: 'tcp', port: 8080 }),
    key('443/tcp', { type: 'tcp', port: 8080 }),
    'one port of health',
  );
  t.equal(key('53/udp', { type: 'tcp' }), key('53/tcp', { type: 'tcp' }), 'tcp is tcp');
  const dns = { type: 'dns', name: 'example.com' };
  t.equal(key('53/udp', { ...dns, transport: 'tcp' }), key('53/tcp', { ...dns, transport: 'tcp' }));
});

t.test('another server, port, kind or way of checking is another target', async (t) => {
  const dns = { type: 'dns', name: 'example.com' };
  const exec = { type: 'exec', program: 'look' };
  const keys = [
    key('80/tcp', { type: 'tcp' }),
    key('80/tcp', { type: 'tcp' }, rs2),
    key('81/tcp', { type: 'tcp' }),
    key('80/tcp', { type: 'tcp', fall: 9 }),
    key('80/tcp', { type: 'smtp' }),
    key('53/tcp', dns),
    key('53/udp', dns),
    key('53/tcp', exec),
    key('53/udp', exec),
  ];
  t.equal(new Set(keys).size, keys.length);
});
