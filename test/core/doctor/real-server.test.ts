import t from 'tap';
import { arpFinding, controllerFinding, reversePathFinding } from '../../../src/core/doctor/real-server.ts';
import { vipReports } from '../../../src/core/real-server.ts';
import type { VipReport } from '../../../src/schema.ts';
import { addressOn, linkOf } from '../../fake-kernel.ts';

const vip = '192.0.2.100';
const vip6 = '2001:db8::100';
const good: VipReport = { present: true, suppressed: true };

t.test('a VIP on lo with ARP suppressed is as it must be', async (t) => {
  t.match(arpFinding({}), { level: 'ok', what: 'no VIP is asked of this host yet' });
  t.match(arpFinding({ [vip]: good, [vip6]: good }), {
    level: 'ok',
    what: `on lo, with ARP suppressed: ${vip}, ${vip6}`,
    fix: [],
  });
});

t.test(
  'a host that would answer ARP is told before one that has no VIP, with the reason and what to type',
  async (t) => {
    const away = { present: false, suppressed: true };
    t.match(
      arpFinding({ [vip6]: away, [vip]: { present: true, suppressed: false, problem: '/proc/sys is read-only' } }),
      {
        level: 'problem',
        what: `this host would answer ARP for ${vip}: /proc/sys is read-only`,
        fix: ['sysctl -w net.ipv4.conf.all.arp_ignore=1 net.ipv4.conf.all.arp_announce=2', /^#/],
      },
    );
    t.match(arpFinding({ [vip]: away }), {
      level: 'problem',
      what: `${vip} is not on lo`,
      fix: [/ip addr add 192\.0\.2\.100\/32 dev lo$/],
    });
    t.match(arpFinding({ [vip6]: { ...away, problem: 'no' } }), {
      what: `${vip6} is not on lo: no`,
      fix: [/ip addr add 2001:db8::100\/128 dev lo nodad$/],
    });
  },
);

t.test('the strict reverse path filter is mended by the commands in its own words', async (t) => {
  t.match(reversePathFinding({ [vip]: good }), { level: 'ok', fix: [] });
  const { [vip]: report } = vipReports(
    { revision: 1, vips: [{ vip, address: '192.0.2.11', ports: [] }], probers: [] },
    {
      addresses: [addressOn('eth0', '192.0.2.11')],
      links: [linkOf('eth0'), linkOf('eth1')],
      routes: [{ destination: '0.0.0.0', prefix: 0, interface: 'eth1', gateway: true }],
      interface: undefined,
      allowedVips: undefined,
      reserved: new Map(),
    },
    new Map([['net.ipv4.conf.all.rp_filter', '1']]),
    new Map(),
    () => new Map(),
  );
  t.match(reversePathFinding({ [vip6]: good, [vip]: report as VipReport }), {
    level: 'problem',
    what: /default route is by eth1, and rp_filter=1 drops/,
    fix: [
      'sysctl -w net.ipv4.conf.all.rp_filter=2',
      'sysctl -w net.ipv4.conf.eth0.rp_filter=2',
      /90-dsr-rp-filter\.conf$/,
    ],
    steps: [{ key: 'net.ipv4.conf.all.rp_filter' }, { key: 'net.ipv4.conf.eth0.rp_filter', value: '2' }],
  });
  const other = reversePathFinding({ [vip]: { ...good, unreachable: 'in other words' } });
  t.match(other, { level: 'problem', what: 'in other words' });
  t.strictSame([other.fix, other.steps], [[], undefined]);
});

t.test("the controller answers from the host's own network, from elsewhere, or not at all", async (t) => {
  const url = 'http://192.0.2.1:7100';
  t.match(controllerFinding(url, { address: '192.0.2.1', onLink: true }), { level: 'ok', fix: [] });
  t.match(controllerFinding(url, { address: '192.0.2.1', onLink: false }), {
    level: 'warning',
    what: /answers at 192\.0\.2\.1, which this host reaches by a gateway/,
    fix: [/^# if 192\.0\.2\.1 is only/],
  });
  t.match(controllerFinding(url, { error: 'connect ECONNREFUSED' }), {
    level: 'problem',
    what: `the controller ${url} does not answer: connect ECONNREFUSED`,
    fix: [/^curl -sS http:\/\/192\.0\.2\.1:7100\/healthz/],
  });
});
