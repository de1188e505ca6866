import fc from 'fast-check';
import t from 'tap';
import {
  connectionTableFinding,
  conntrackFinding,
  neighborTableFinding,
  synFloodFinding,
} from '../../../src/core/doctor/tables.ts';
import { holds } from '../../property.ts';

t.test('connection tracking warns from four fifths on, and is a problem when it is full', async (t) => {
  t.match(conntrackFinding(undefined), { level: 'ok', what: /not loaded/ });
  for (const [
    count,
    level,
  ] of [[0, 'ok'], [799, 'ok'], [800, 'warning'], [999, 'warning'], [1000, 'problem'], [1001, 'problem']] as const) // biome-ignore format: a table
    t.match(conntrackFinding({ count, max: 1000 }), { level, what: `has ${count} of at most 1000` });
  t.match(conntrackFinding({ count: 1000, max: 1000 }), {
    fix: ['sysctl -w net.netfilter.nf_conntrack_max=4000', /^printf .* > \/etc\/sysctl\.d\/90-dsr-conntrack\.conf$/],
    steps: [{ op: 'set-sysctl', key: 'net.netfilter.nf_conntrack_max', value: '4000' }],
  });
});

t.test('the table of IPVS: how large it is, how much memory, and when it is crowded', async (t) => {
  t.match(connectionTableFinding(undefined), { level: 'unknown', fix: [] });
  t.match(connectionTableFinding({ bits: 12, connections: 16_384 }), {
    level: 'ok',
    what: /4096 buckets \(conn_tab_bits=12, 0\.0 MiB\) and 16384 connections \(about \d\.\d MiB\)/,
    fix: [],
  });
  t.match(connectionTableFinding({ bits: 12, connections: 16_385 }), {
    level: 'warning',
    fix: ["echo 'options ip_vs conn_tab_bits=15' > /etc/modprobe.d/dsr-ip_vs.conf", /^#/],
  });
});

holds(
  t,
  'a crowded table of IPVS is to become larger, never beyond what the kernel takes, and then it is not crowded',
  fc.property(fc.integer({ min: 8, max: 20 }), fc.nat(20_000_000), (bits, connections) => {
    const { level, fix } = connectionTableFinding({ bits, connections });
    const wanted = Number(/conn_tab_bits=(\d+)/.exec(fix[0] ?? '')?.[1] ?? bits);
    if (level === 'ok') return fix.length === 0;
    if (bits === 20) return fix.length === 0;
    const after = connectionTableFinding({ bits: wanted, connections });
    return wanted > bits && wanted <= 20 && (after.level === 'ok' || wanted === 20);
  }),
);

t.test('floods of opening packets: the director drops old ones, real servers use cookies', async (t) => {
  const drop = 'net.ipv4.vs.drop_entry';
  const cookies = 'net.ipv4.tcp_syncookies';
  const levels = (role: 'director' | 'real-server', key: string, values: (string | undefined)[]) =>
    values.map((value) => synFloodFinding(role, new Map([[key, value]])).level);
  t.same(levels('director', drop, ['0', '1', '2', '3', undefined]), ['warning', 'ok', 'ok', 'ok', 'unknown']);
  t.same(levels('real-server', cookies, ['0', '1', '2', undefined]), ['problem', 'ok', 'ok', 'unknown']);
  t.match(synFloodFinding('director', new Map([[drop, '0']])), {
    what: `${drop} is 0`,
    fix: [`sysctl -w ${drop}=1`, /90-dsr-syn-flood\.conf$/],
    steps: [{ key: drop, value: '1' }],
  });
  t.match(synFloodFinding('real-server', new Map([[cookies, '0']])), {
    fix: [`sysctl -w ${cookies}=1`, /90-dsr-syn-flood\.conf$/],
    steps: [{ key: cookies, value: '1' }],
  });
});

t.test("the kernel's memory of neighbors holds every real server twice", async (t) => {
  const key = 'net.ipv4.neigh.default.gc_thresh3';
  const of = (count: number, value?: string) => neighborTableFinding(count, new Map([[key, value]]));
  t.match(of(10), { level: 'unknown', fix: [] });
  t.match(of(462, '1024'), { level: 'ok', what: /is 1024, for 462 real servers/ });
  t.match(of(463, '1024'), {
    level: 'problem',
    fix: ['sysctl -w net.ipv4.neigh.default.gc_thresh2=2052', `sysctl -w ${key}=4104`, /90-dsr-neighbors\.conf$/],
    steps: [{ value: '2052' }, { value: '4104' }],
  });
});
