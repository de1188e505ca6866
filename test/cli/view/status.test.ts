import t from 'tap';
import { detailSchema, statusSchema } from '../../../src/cli/view/answers.ts';
import { type Look, poolStatusLines, statusLines } from '../../../src/cli/view/status.ts';
import { type Line, spansOf, textOf } from '../../../src/cli/view/text.ts';
import { topLines } from '../../../src/cli/view/top.ts';
import type { CardRate, TrafficView } from '../../../src/core/traffic.ts';

const card = (txMbit: number, more: Partial<CardRate> = {}): CardRate => ({
  interface: 'eth0',
  speedMbit: 100,
  rxMbit: 1,
  txMbit,
  rxPacketsPerSecond: 1,
  txPacketsPerSecond: 1,
  lostPerSecond: 0,
  loadPercent: txMbit,
  fuller: 'tx',
  ageMs: 10,
  ...more,
});
const traffic: TrafficView = {
  director: card(3, { rxMbit: 5, loadPercent: 5, fuller: 'rx' }),
  realServers: {
    rs1: card(50),
    rs2: card(96, { lostPerSecond: 7 }),
    rs3: card(10, { speedMbit: null, loadPercent: null }),
  },
  requests: { connectionsPerSecond: 340, packetsPerSecond: 5000, requestsMbit: 2.5 },
  repliesMbit: 156,
  directorSharePercent: 1.9,
  bottleneck: { host: 'rs2', direction: 'tx', loadPercent: 96, full: true },
};
const rate = (requestsMbit: number) => ({ connectionsPerSecond: 170, packetsPerSecond: 2500, requestsMbit });
const member = (address: string, weight: number, more: object = {}) => ({
  address,
  weight,
  serving: weight > 0,
  reason: weight > 0 ? 'in service: answered' : 'does not answer',
  desired: { weight: 100, state: 'active' },
  observed: { warnings: [] },
  actual: { '80/tcp': { weight, activeConnections: 10, inactiveConnections: 99, persistentConnections: 2 } },
  ...more,
});
const head = { storedRevision: 7, reconciledRevision: 7, interface: 'eth0', problems: [] };
const status = {
  ...head,
  counts: { pools: 2, realServers: 3, serving: 2, services: 2, destinations: 3, draining: 1 },
  pools: {
    web: { vip: '192.0.2.100', well: false, serving: 2, realServers: 3 },
    img: { vip: '192.0.2.101', well: true, serving: 1, realServers: 1 },
  },
  unwell: [
    { pool: 'web', realServer: 'rs3', reason: 'does not answer' },
    { pool: 'img', reason: 'a notice' },
  ],
  traffic,
};
const web = {
  well: false,
  missing: ['the VIP is taken'],
  vip: { address: '192.0.2.100', reason: 'on eth0', claims: [{ reason: 'rs2 answers for it' }] },
  ports: {
    '80/tcp': { desired: { policy: 'real-servers', scheduler: 'wlc' }, reason: 'balanced', traffic: rate(1) },
    '443/tcp': { desired: { policy: 'real-servers', scheduler: 'rr' }, reason: 'balanced', traffic: rate(2) },
    '8080/tcp': { desired: { policy: 'director' }, reason: 'stays on this host' },
  },
  realServers: {
    rs1: member('192.0.2.11', 100, { traffic: { card: card(50), connections: { '80/tcp': 3 } } }),
    rs2: member('192.0.2.12', 50, { observed: { warnings: ['its clock is behind'] } }),
    rs3: member('192.0.2.13', 0),
  },
  leaving: [{ realServer: 'rs4', address: '192.0.2.14', done: false, remainingConnections: 1, deadline: 'x' }],
};
const seen = (of: object = status, pool: object = web): Look => ({
  status: statusSchema.parse(of),
  details: new Map(Object.entries(detailSchema.parse({ ...head, pools: { web: pool } }).pools)),
});
const texts = (lines: readonly Line[]) => lines.map(textOf);

t.test('one screen says all: hosts, cards, the bottleneck, pools, servers and why', async (t) => {
  const lines = statusLines('http://c', seen());
  t.strictSame(texts(lines), [
    'http://c  eth0  revision 7, in the kernel',
    '2 pools, 2 of 3 real servers in service, 3 destinations, 1 draining',
    '',
    'CARD OF   INTERFACE  OUT Mbit/s  IN Mbit/s  SPEED   LOAD  LOST/s',
    'rs2       eth0             96.0       1.00    100   96 %       7',
    'rs1       eth0             50.0       1.00    100   50 %       0',
    'rs3       eth0             10.0       1.00      ?      ?       0',
    'director  eth0             3.00       5.00    100  5.0 %       0',
    'replies of the real servers: 156 Mbit/s; requests: 2.50 Mbit/s, 340 new connections/s',
    "the director's card carries 1.9 % of all that leaves",
    "bottleneck: rs2's card, out, 96 %: it is full",
    '',
    'web  192.0.2.100  2 of 3 real servers in service  not well',
    '  the VIP is taken',
    '  rs2 answers for it',
    '  80/tcp  wlc: balanced, 170 new connections/s, requests 1.00 Mbit/s',
    '  443/tcp  rr: balanced, 170 new connections/s, requests 2.00 Mbit/s',
    '  8080/tcp  director: stays on this host',
    '  REAL SERVER  ADDRESS     WEIGHT  CONNECTIONS  OUT Mbit/s  LOAD  WHY',
    '  rs1          192.0.2.11     100           12        50.0  50 %  in service: answered',
    '  rs2          192.0.2.12      50           12        96.0  96 %  in service: answered',
    '  rs3          192.0.2.13       0           12        10.0     ?  does not answer',
    '  leaving: rs4, 1 connection left',
    '  rs2: its clock is behind',
    '',
    'POOL  VIP          IN SERVICE  STATE',
    'img   192.0.2.101      1 of 1  well',
    '',
    'img  a notice',
  ]);
  const styles = lines.flatMap(spansOf).filter((span) => typeof span !== 'string');
  t.match(
    styles.find(({ text }) => text === 'rs3'),
    { style: 'red' },
  );
});

t.test('a controller that does not tell its traffic is shown without', async (t) => {
  const { traffic: _, ...older } = status;
  const ports = { '80/tcp': { desired: { policy: 'real-servers', scheduler: 'wlc' }, reason: 'balanced' } };
  const look = seen(older, {
    ...web,
    ports,
    missing: [],
    vip: { address: '192.0.2.100', reason: 'about to be taken' },
  });
  const lines = texts(statusLines('http://c', look));
  t.notOk(lines.some((line) => line.includes('CARD OF')));
  t.ok(lines.includes('  VIP: about to be taken'));
  t.ok(lines.includes('  rs2          192.0.2.12      50           12           -     -  in service: answered'));
  t.match(texts(topLines(look)), [/this controller does not tell its traffic/]);
  const nothing = {
    director: null,
    realServers: {},
    requests: null,
    repliesMbit: 0,
    directorSharePercent: null,
    bottleneck: null,
  };
  t.ok(
    texts(statusLines('http://c', seen({ ...status, traffic: nothing }))).includes(
      'replies of the real servers: 0.00 Mbit/s',
    ),
  );
});

t.test('a kernel that lags behind, and what fails, is seen at once', async (t) => {
  const late = { ...status, reconciledRevision: 5, problems: ['cannot do this'] };
  for (const lines of [statusLines('http://c', seen(late)), poolStatusLines('http://c', seen(late))])
    t.match(texts(lines), ['http://c  eth0  revision 7, the kernel has 5 so far']);
  t.match(texts(poolStatusLines('http://c', seen(late)))[1], 'cannot do this');
});

t.test('top sorts cards and services by what goes through them', async (t) => {
  const lines = texts(topLines(seen()));
  t.match(lines.slice(1, 4), [/^rs2 /, /^rs1 /, /^rs3 /]);
  t.strictSame(lines.slice(-3), [
    'POOL  VIP          PORT     REQUESTS Mbit/s  PACKETS/s  NEW CONNECTIONS/s',
    'web   192.0.2.100  443/tcp             2.00       2500                170',
    'web   192.0.2.100  80/tcp              1.00       2500                170',
  ]);
  t.match(texts(topLines({ ...seen(), details: new Map() })).at(-1), 'services are listed while the pools are few');
});
