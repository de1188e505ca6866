import fc from 'fast-check';
import t from 'tap';
import { fieldErrors } from '../src/api/problems.ts';
import { isBalanced, isForwarded, poolSchema } from '../src/schema.ts';
import { splitOrigin } from '../src/url-schema.ts';
import { rulesArb } from './core/url/policies.ts';
import { holds } from './property.ts';

const rules = [{ match: { extensions: ['jpg'] }, to: 'real-servers' }];
const edge = { origin: '192.0.2.10:8080' };
const pool = (more: object, key = '80/tcp') => ({
  vip: '192.0.2.100',
  ports: { [key]: { policy: 'url', rules, ...more } },
  realServers: { rs1: { address: '192.0.2.11' } },
});
const errors = (more: object, key?: string): string[] => {
  const result = poolSchema.safeParse(pool(more, key));
  return result.success
    ? []
    : fieldErrors(result.error).map(({ path, message }) => `${path.replace('ports.80/tcp.', '')}: ${message}`);
};
const match = (match: object) => errors({ edge, rules: [{ match, to: 'director' }] });

t.test('a URL policy has the engine "edge", and the director for the rest', async (t) => {
  t.strictSame(poolSchema.parse(pool({ edge })).ports['80/tcp'], {
    policy: 'url',
    rules,
    otherwise: 'director',
    engine: 'edge',
    affinity: 'none',
    edge: { ...edge, cacheMb: 1024, tls: false },
    scheduler: 'wlc',
  });
});

t.test('what a port says about itself is enough for whoever goes by it', async (t) => {
  const port = (more: object) => poolSchema.parse({ ...pool({}), ports: { '80/tcp': more } }).ports['80/tcp']!;
  for (const [more, balanced, forwarded] of [
    [{ policy: 'director' }, false, false],
    [{ policy: 'real-servers' }, true, true],
    [{ policy: 'url', rules, edge }, true, true],
    [{ policy: 'url', rules, engine: 'handoff' }, true, false],
    [{ policy: 'url', rules, engine: 'redirect', redirect: { hosts: {} } }, true, false],
  ] as const)
    t.strictSame([isBalanced(port(more)), isForwarded(port(more))], [balanced, forwarded]);
});

t.test('a match is refused in words where a web server could read it as something else', async (t) => {
  t.match(match({}), [/a match has at least one of/]);
  t.match(match({ methods: ['get'] }), [/a method is in capital letters/]);
  t.match(match({ methods: [] }), [/methods has at least one entry/]);
  t.match(match({ extensions: ['.jpg'] }), [/without a dot/]);
  for (const pathPrefix of ['img', '/a b', '/a%20', '/a"', '/a;', '/$a', '/a{', '/a\\', '/a?b', '/a#', '/\u00e9'])
    t.match(match({ pathPrefix }), [/a pathPrefix begins with/], pathPrefix);
  for (const pathPrefix of ['//', '/a//b', '/./', '/a/..', '/a/../b'])
    t.match(match({ pathPrefix }), [/has no "\/\/"/], pathPrefix);
  t.strictSame(match({ pathPrefix: '/a/...b/..c/' }), []);
  for (const host of ['a.example:80', '', '_', 'a..b', '-a', '[::1]', '*.example.com', 'a b'])
    t.match(match({ host }), [/a host is a name without port/], host);
  t.strictSame(match({ host: 'IMG.example.com', extensions: ['JPG', 'webp'] }), []);
});

t.test('settings of one engine are not for another, and each has what it needs', async (t) => {
  t.match(errors({}), [/^edge: the engine "edge" needs to know.*"origin"/]);
  t.match(errors({ engine: 'redirect' }), [/^redirect: .*needs a host name for each real server/]);
  t.match(errors({ engine: 'handoff', edge }), [/^edge: these are settings of the engine "edge".*is "handoff"/]);
  t.match(errors({ edge, handoff: {} }), [/^handoff: these are settings/]);
  t.match(errors({ edge, affinity: 'url-hash' }), [
    /^affinity: .*IPVS picks the server before any URL is read.*"handoff" or "redirect"/,
  ]);
  t.match(errors({ edge, engine: 'proxy' }), [/^engine: the engines are edge, handoff, redirect/]);
  t.match(errors({ edge }, '80/udp'), [/a URL policy is for TCP ports only/]);
  t.match(errors({ edge: { origin: '192.0.2.100:8080' } }), [/^edge.origin: .*the VIP is every real server's too/]);
  t.match(errors({ edge: { origin: '192.0.2.11:8080' } }), [/^edge.origin: .*not a real server's/]);
  for (const origin of [
    '192.0.2.10',
    '192.0.2.10:0',
    '192.0.2.10:99999',
    'director:80',
    '2001:db8::1:80',
    '[192.0.2.10]:80',
  ])
    t.match(errors({ edge: { origin } }), [/an address of the director with a port/], origin);
  t.match(errors({ edge: { origin: '127.0.0.1:80' } }), [/that the real servers reach/]);
  t.match(errors({ engine: 'redirect', redirect: { hosts: { rs1: 'a/b' } } }), [/a host name with or without a port/]);
  t.match(errors({ engine: 'redirect', redirect: { hosts: {}, code: 301 } }), [/code is 302 or 307/]);
});

t.test('an origin is an address and a port', async (t) => {
  t.strictSame(splitOrigin('192.0.2.10:80'), { address: '192.0.2.10', port: 80 });
  t.strictSame(splitOrigin('[2001:DB8::1]:65535'), { address: '2001:db8::1', port: 65535 });
});

holds(
  t,
  'a policy that was parsed parses to itself',
  fc.property(rulesArb, (some) => {
    const once = poolSchema.parse(pool({ ...some, edge }));
    return JSON.stringify(poolSchema.parse(once)) === JSON.stringify(once);
  }),
);
