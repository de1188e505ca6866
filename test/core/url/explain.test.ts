import t from 'tap';
import type { Standings } from '../../../src/core/standings.ts';
import { homesOf } from '../../../src/core/url/affinity.ts';
import { explain } from '../../../src/core/url/explain.ts';
import { poolsSchema } from '../../../src/schema.ts';

const rules = [{ match: { extensions: ['jpg'] }, to: 'real-servers' }];
const engine = (engine: string, more: object) => ({ policy: 'url', rules, engine, ...more });
const hosts = { rs1: 'img1.example.com' };
const pools = poolsSchema.parse({
  web: {
    vip: '192.0.2.100',
    realServers: { rs1: { address: '192.0.2.11' }, rs2: { address: '192.0.2.12' }, rs3: { address: '192.0.2.13' } },
    ports: {
      '80/tcp': engine('edge', { edge: { origin: '192.0.2.10:8080' } }),
      '81/tcp': engine('handoff', {}),
      '82/tcp': engine('handoff', { affinity: 'url-hash' }),
      '83/tcp': engine('redirect', { redirect: { hosts } }),
      '84/tcp': engine('redirect', { redirect: { hosts, code: 307 }, affinity: 'url-hash' }),
      '443/tcp': { policy: 'real-servers' },
      '8080/tcp': { policy: 'director' },
      '80/udp': { policy: 'real-servers' },
    },
  },
  other: { vip: '2001:db8::1', ports: { '80/tcp': { policy: 'director' } } },
});
const standing = (weight: number) => ({ weight, serving: weight > 0, well: true, reason: `weight ${weight}` });
const standings: Standings = new Map([
  [
    'web',
    {
      realServers: new Map(),
      ports: new Map(
        ['80/tcp', '82/tcp', '84/tcp'].map((port) => [
          port,
          {
            members: new Map([['rs1', standing(50)], ['rs2', standing(0)], ['rs3', standing(100)]]),
            notice: port === '80/tcp' ? 'take care' : undefined,
            directorAnswers: false,
          },
        ]),
      ),
    },
  ],
]); // biome-ignore format: short
const ask = (url: string, more: object = {}) => {
  const answers = explain({ method: 'GET', url, ...more }, pools, standings);
  return 'refused' in answers ? answers.refused : answers;
};
const only = (url: string, more: object = {}) => ask(url, { pool: 'web', ...more })[0];

t.test('which ports a URL comes to: by its scheme, its port, and an address in it', async (t) => {
  const where = (url: string, more: object = {}) => {
    const answers = ask(url, more);
    return typeof answers === 'string' ? answers : answers.map(({ pool, port }) => `${pool} ${port}`).join();
  };
  t.equal(where('http://example.com/a.jpg'), 'web 80/tcp,other 80/tcp');
  t.equal(where('HTTPS://example.com'), 'web 443/tcp');
  t.equal(where('http://example.com:8080?x'), 'web 8080/tcp');
  t.equal(where('http://192.0.2.100/'), 'web 80/tcp');
  t.equal(where('http://[2001:db8::1]/'), 'other 80/tcp');
  t.equal(where('http://192.0.2.99/'), '');
  t.equal(where('/a', { pool: 'other' }), 'other 80/tcp');
  t.equal(where('/a#b', { pool: 'web' }).split(',').length, 7, 'a path comes to every TCP port');
});

t.test('what is no URL, or a request that servers refuse', async (t) => {
  t.match(ask(''), /a URL such as/);
  t.match(ask('a.jpg'), /a URL such as/);
  t.match(ask('http://example.com/%00'), /servers refuse such a request with 400/);
  t.match(ask('/a', { method: 'get' }), /servers refuse such a request with 400: a method/);
  t.match(ask(`/${'a'.repeat(9000)}`), /414/);
});

t.test('who answers, by which rule and which way', async (t) => {
  t.match(only('http://a/x.jpg'), {
    policy: 'url', engine: 'edge', to: 'real-servers', rule: 1, why: /rule 1 matches/, way: /from its disk.*once from 192.0.2.10:8080/, notice: 'take care',
    realServers: [
      { realServer: 'rs3', address: '192.0.2.13', weight: 100, sharePercent: 66.7, reason: 'weight 100' },
      { realServer: 'rs1', sharePercent: 33.3 },
      { realServer: 'rs2', sharePercent: 0 },
    ],
  }); // biome-ignore format: long
  t.match(only('http://a/x.php'), {
    to: 'director',
    rule: null,
    way: /passes the request on.*192.0.2.10:8080/,
    realServers: [{}, {}, {}],
  });
  t.match(only('http://a:81/x.jpg'), {
    engine: 'handoff',
    way: /a real server, by weight/,
    realServers: [],
    notice: null,
  });
  t.match(only('http://a:81/x.php'), { way: /own web server/ });
  t.match(only('http://a:83/x.jpg'), { engine: 'redirect', way: /302.*by weight/ });
  t.match(only('http://a:83/x.php'), { way: /own web server/, realServers: [] });
  t.match(only('https://a/x.php'), { engine: null, to: 'real-servers', rule: null, way: /scheduler wlc/ });
  t.match(only('http://a:8080/x.jpg'), { engine: null, to: 'director', realServers: [] });
});

t.test('where one path is one server\'s, its home comes first', async (t) => {
  for (const [port, way] of [[82, /belongs to/], [84, /307.*belongs to/]] as const) {
    const answer = only(`http://a:${port}/x.jpg`);
    t.match(answer, { way });
    const homes = homesOf('/x.jpg', new Map([['rs1', 50], ['rs3', 100]]));
    const { realServers } = answer as Exclude<typeof answer, string | undefined>;
    t.strictSame(realServers.map(({ realServer }) => realServer), [...homes, 'rs2']);
    t.strictSame(realServers.map(({ sharePercent }) => sharePercent), [100, 0, 0]);
  }
}); // biome-ignore format: short

t.test('where nobody serves, nobody has a share', async (t) => {
  const none: Standings = new Map([['web', { realServers: new Map(), ports: new Map([['443/tcp', { members: new Map([['rs1', standing(0)]]), notice: undefined, directorAnswers: false }]]) }]]);
  t.match(explain({ method: 'GET', url: 'https://a/' }, pools, none), [{ realServers: [{ sharePercent: 0 }] }]);
}); // biome-ignore format: short
