import t from 'tap';
import {
  adjacencyFinding,
  agentFinding,
  cardSpeedFinding,
  clockFinding,
  defaultRouteFinding,
  lanFinding,
  mtuFinding,
  type Neighbor,
  type VipSource,
  vipSourceFinding,
} from '../../../src/core/doctor/across.ts';

const rs1: Neighbor = { name: 'rs1', address: '192.0.2.11', onLink: true, answers: true, answersFull: true };
const vip = '192.0.2.100';

t.test('a real server is on the Ethernet segment, behind a gateway, or does not answer there', async (t) => {
  const of = (more: Partial<Neighbor>) => adjacencyFinding({ ...rs1, ...more }, 'eth0');
  t.match(of({}), { level: 'ok', what: 'rs1 (192.0.2.11) is on the Ethernet segment of eth0' });
  t.match(of({ onLink: false, answers: false }), {
    level: 'problem',
    what: 'the director reaches rs1 (192.0.2.11) by a gateway, not directly by eth0',
    fix: [/^# give rs1 an address/],
  });
  t.match(of({ answers: false }), {
    level: 'problem',
    what: 'rs1 (192.0.2.11) does not answer on the Ethernet segment of eth0',
    fix: [/^arping -c 3 -I eth0 192\.0\.2\.11 /, /^#/],
  });
  t.match(of({ address: '2001:db8::11', answers: false }).fix, [/^ndisc6 2001:db8::11 eth0 /, /^#/]);
  t.match(lanFinding('eth0', 'eth0 is down'), {
    level: 'problem',
    what: 'the LAN cannot be asked for the real servers: eth0 is down',
    fix: ['ip link set eth0 up', /^ip -s link/],
  });
});

t.test('full frames arrive, are lost on the way, or do not fit the interface at the end', async (t) => {
  const of = (more: Partial<Neighbor>, director: number | undefined, realServer: number | undefined) =>
    mtuFinding({ ...rs1, ...more }, { director, realServer }, 'eth0');
  t.match(of({}, 1500, 1500), { level: 'ok', what: "frames of the director's MTU (1500) reach rs1" });
  t.match(of({}, 1500, undefined), { level: 'ok' });
  t.match(of({ answersFull: false }, 1500, 1500), {
    level: 'problem',
    what: 'frames of 1500 bytes do not reach rs1 (192.0.2.11), small ones do',
    fix: [/^#/, /^nft add table/, /^nft 'add chain/, /^nft add rule .* maxseg size set 1360$/],
  });
  t.match(of({ address: '2001:db8::11', answersFull: false }, undefined, undefined), {
    level: 'problem',
    what: /^frames of full bytes|^full frames/,
    fix: [/^#/, /./, /./, /size set 1340$/],
  });
  t.match(of({ answersFull: false }, 1500, 1400), {
    level: 'warning',
    what: /of rs1 has an MTU of 1400, the director's eth0 has 1500: TCP heeds it \(MSS 1360\)/,
  });
  t.match(of({}, 1500, 9000), { level: 'warning', fix: [/^ip link set eth0 mtu 9000 /] });
  t.match(of({ answers: false, answersFull: undefined }, 1500, undefined), { level: 'unknown', fix: [] });
});

t.test('an agent that says nothing is told, and for how long', async (t) => {
  t.match(agentFinding('rs1', 1000, 31_000), { level: 'ok' });
  t.match(agentFinding('rs1', 1000, 31_001), {
    level: 'warning',
    what: /silent for 30 s/,
    fix: [/on rs1$/, /restart/],
  });
  t.match(agentFinding('rs1', null, 31_001), { level: 'warning', what: /^the agent on rs1 is silent: / });
});

t.test('a clock may differ by two seconds', async (t) => {
  const levels = [undefined, 0, 2000, -2000, 2001, -2001].map((skew) => clockFinding('rs1', skew).level);
  t.same(levels, ['unknown', 'ok', 'ok', 'ok', 'warning', 'warning']);
  t.match(clockFinding('rs1', 5000), {
    what: "the clock of rs1 is 5.0 s ahead of the director's",
    fix: [/set-ntp true/],
  });
  t.match(clockFinding('rs1', -5000), { what: "the clock of rs1 is 5.0 s behind the director's" });
});

t.test('a card tells its speed, or does not and what is to be done is told', async (t) => {
  const levels = [100, null, undefined].map((speed) => cardSpeedFinding('rs1', speed).level);
  t.same(levels, ['ok', 'warning', 'unknown']);
  t.match(cardSpeedFinding('rs1', null).fix, [/dsr-agent on rs1: "speedMbit": 1000/]);
});

t.test('the default route leads elsewhere than through the director', async (t) => {
  const director = new Set(['192.0.2.10', 'fe80::1']);
  const of = (gateways?: string[]) => defaultRouteFinding('rs1', gateways, director);
  t.match(of(), { level: 'unknown', fix: [] });
  t.match(of(['192.0.2.1', '2001:db8::1']), { level: 'ok', what: /through 192\.0\.2\.1, 2001:db8::1/ });
  t.match(of([]), { level: 'warning', fix: [/^ip route add default via ROUTER /] });
  t.match(of(['192.0.2.1', '192.0.2.10']), {
    level: 'problem',
    what: 'the default route of rs1 leads through the director (192.0.2.10)',
    fix: [/^ip route replace default via ROUTER /],
  });
  t.match(of(['fe80::1']).fix, [/^ip -6 route replace default via ROUTER /]);
});

t.test('packets from the VIP arrive, or are lost while all else is well, or nothing can be said', async (t) => {
  const lost: VipSource = { probe: 'down', silent: true, attested: true, own: 'accepts' };
  const of = (more: Partial<VipSource>) => vipSourceFinding('rs1', vip, '192.0.2.11', { ...lost, ...more });
  t.match(of({ probe: 'up' }), { level: 'ok', what: `packets from ${vip} that rs1 sends arrive` });
  t.match(of({}), {
    level: 'problem',
    what: `rs1 is ready and answers from 192.0.2.11, but what it sends from ${vip} does not arrive`,
    fix: [/^tcpdump/, /^nft list ruleset/, /^# ask the provider/],
  });
  t.match(of({ own: 'refuses' }), { level: 'warning', what: /its server is on the VIP alone/ });
  for (const probe of [undefined, 'unknown'] as const)
    t.match(of({ probe }), { level: 'unknown', what: `rs1 is not probed through ${vip}`, fix: [] });
  for (const more of [{ own: 'silent' }, { own: undefined }, { silent: false }, { attested: false }] as const)
    t.match(of(more), { level: 'unknown', what: /for another reason: see its status/ });
});
