import fc from 'fast-check';
import t from 'tap';
import type { z } from 'zod';
import { fieldErrors } from '../src/api/problems.ts';
import { conflictsIn, replacePools } from '../src/core/pools.ts';
import { emptyState } from '../src/core/state.ts';
import {
  maskLength,
  poolSchema,
  poolsDocumentSchema,
  poolsSchema,
  realServerSchema,
  reportSchema,
} from '../src/schema.ts';
import { poolsArb } from './arbitraries.ts';
import { createSite, desiredOf, factsOf } from './core/site.ts';
import { holds } from './property.ts';

const balanced = { policy: 'real-servers' };
const pool = (more: object = {}) => ({ vip: '192.0.2.100', ports: { '80/tcp': balanced }, ...more });
const port = (more: object, key = '80/tcp', vip = '192.0.2.100') =>
  pool({ vip, ports: { [key]: { ...balanced, ...more } } });
const server = (more: object, name = 'rs1') => pool({ realServers: { [name]: { address: '192.0.2.11', ...more } } });

/** "path: message" of every error, as the API tells them. */
function errors(schema: z.ZodType, value: unknown): string[] {
  const result = schema.safeParse(value);
  return result.success ? [] : fieldErrors(result.error).map(({ path, message }) => `${path}: ${message}`);
}

const nameHelp = 'a name is a DNS label: lower-case letters, digits and hyphens, at most 63, such as "rs1"';
const noAddress = 'not an IP address; write it like 192.0.2.100 or 2001:db8::100';
const ofLan = 'cannot be used here; take an address of the local network';
const portHelp = 'a port is written like "80/tcp" or "53/udp"';
const schedulerHelp = 'the schedulers are rr, wrr, lc, wlc, fo, ovf, lblc, lblcr, dh, sh, mh, sed, nq, twos';
const flagHelp = 'the scheduler flags are sh-fallback, sh-port, mh-fallback, mh-port, flag-1, flag-2, flag-3';
const maskHelp = 'a netmask such as "255.255.255.0" (IPv4), or a prefix length such as 64';
const stateHelp = 'state is "active", "drain" or "maintenance"';
const policyHelp = 'policy is "real-servers", "director" or "url"';
const noCheck = 'a port with policy "director" is checked by looking for its listener; leave "check" out';
const onePort = 'a pool has at least one port, such as "80/tcp": { "policy": "real-servers" }';

const imageRule = { match: { extensions: ['jpg'] }, to: 'real-servers' };

const wrong: [string, unknown, string[]][] = [
  ['an address that is none', pool({ vip: '192.0.2' }), [`vip: ${noAddress}`]],
  ['a name in place of an address', server({ address: 'rs1.example.org' }), [`realServers.rs1.address: ${noAddress}`]],
  ['a loopback VIP', pool({ vip: '127.0.0.1' }), [`vip: a loopback address ${ofLan}`]],
  ['a link-local VIP', pool({ vip: 'fe80::1' }), [`vip: a link-local address ${ofLan}`]],
  ['the unspecified address', pool({ vip: '::' }), [`vip: an unspecified address ${ofLan}`]],
  ['an IPv4-mapped VIP', pool({ vip: '::ffff:192.0.2.1' }), [`vip: an IPv4 address in IPv6 spelling ${ofLan}`]],
  ['no VIP', { ports: { '80/tcp': balanced } }, ['vip: it is missing; a string belongs here']],
  ['no ports', pool({ ports: {} }), [`ports: ${onePort}`]],
  ['a port without protocol', pool({ ports: { 80: balanced } }), [`ports.80: ${portHelp}`]],
  ['a port with another protocol', pool({ ports: { '80/sctp': balanced } }), [`ports.80/sctp: ${portHelp}`]],
  ['port 0', pool({ ports: { '0/tcp': balanced } }), [`ports.0/tcp: ${portHelp}`]],
  ['port 65536', pool({ ports: { '65536/tcp': balanced } }), ['ports.65536/tcp: a port is 1 to 65535']],
  ['an unknown policy', port({ policy: 'both' }), [`ports.80/tcp.policy: ${policyHelp}`]],
  ['an unknown scheduler', port({ scheduler: 'fair' }), [`ports.80/tcp.scheduler: ${schedulerHelp}`]],
  [
    'a scheduler that weights by headroom cannot steer',
    pool({ balance: 'headroom', ports: { '80/tcp': { ...balanced, scheduler: 'wrr' } } }),
    [
      'ports.80/tcp.scheduler: with balance "headroom" the scheduler is wlc, sed, nq: wrr does not follow the weights from connection to connection',
    ],
  ],
  [
    'paths that stay with a server whose share moves',
    pool({
      balance: 'headroom',
      ports: { '80/tcp': { policy: 'url', engine: 'handoff', affinity: 'url-hash', rules: [imageRule] } },
    }),
    [
      'ports.80/tcp.affinity: with balance "headroom" affinity is "none": shares move from second to second, and paths would move with them from server to server',
    ],
  ],
  [
    'cards of hosts that clients are sent to by name',
    pool({
      balance: 'headroom',
      ports: { '80/tcp': { policy: 'url', engine: 'redirect', rules: [imageRule], redirect: { hosts: {} } } },
      realServers: {},
    }),
    [
      'balance: balance "headroom" goes by the cards of hosts that have the VIP: where all ports redirect clients to real servers by name, use "weights"',
    ],
  ],
  ['an unknown balance', pool({ balance: 'bytes' }), ['balance: balance is "weights" or "headroom"']],
  ['an unknown flag', port({ schedulerFlags: ['fast'] }), [`ports.80/tcp.schedulerFlags.0: ${flagHelp}`]],
  [
    'a flag of another scheduler',
    port({ schedulerFlags: ['sh-port'] }),
    ['ports.80/tcp.schedulerFlags: sh-port belongs to the scheduler sh, not to wlc'],
  ],
  [
    'persistence of no time',
    port({ persistenceSeconds: 0 }),
    ['ports.80/tcp.persistenceSeconds: persistenceSeconds is at least 1'],
  ],
  [
    'persistence for too long',
    port({ persistenceSeconds: 2678401 }),
    ['ports.80/tcp.persistenceSeconds: persistenceSeconds is at most 2678400'],
  ],
  [
    'a netmask with holes',
    port({ persistenceSeconds: 9, persistenceNetmask: '255.0.255.0' }),
    [`ports.80/tcp.persistenceNetmask: ${maskHelp}`],
  ],
  [
    'a netmask of nothing',
    port({ persistenceSeconds: 9, persistenceNetmask: '0.0.0.0' }),
    [`ports.80/tcp.persistenceNetmask: ${maskHelp}`],
  ],
  [
    'a netmask without persistence',
    port({ persistenceNetmask: 24 }),
    ['ports.80/tcp.persistenceNetmask: persistenceNetmask goes with persistenceSeconds'],
  ],
  [
    'a prefix length of the other family',
    port({ persistenceSeconds: 9, persistenceNetmask: 64 }),
    ['ports.80/tcp.persistenceNetmask: a netmask or a prefix length of 1 to 32'],
  ],
  [
    'a dotted netmask for IPv6',
    port({ persistenceSeconds: 9, persistenceNetmask: '255.255.0.0' }, '80/tcp', '2001:db8::1'),
    ['ports.80/tcp.persistenceNetmask: a prefix length of 1 to 128'],
  ],
  ['onePacket for TCP', port({ onePacket: true }), ['ports.80/tcp.onePacket: onePacket is for UDP ports only']],
  ['a check at the pool', pool({ check: { type: 'tcp', rise: 0 } }), ['check.rise: rise is at least 1']],
  ['a check at a port', port({ check: { type: 'tcp', fall: 101 } }), ['ports.80/tcp.check.fall: fall is at most 100']],
  [
    'an attestation that is none',
    pool({ attestation: 'no' }),
    ['attestation: attestation is "required" or "optional"'],
  ],
  ['a fallback that is none', pool({ fallback: 'x' }), ['fallback: fallback is "refuse", "director" or "keep"']],
  ['a limit over all', pool({ maxEjectedPercent: 101 }), ['maxEjectedPercent: maxEjectedPercent is at most 100']],
  ['an impatient agent timeout', pool({ agentTimeoutMs: 999 }), ['agentTimeoutMs: agentTimeoutMs is at least 1000']],
  ['a slow start without end', pool({ slowStartMs: 1e9 }), ['slowStartMs: slowStartMs is at most 3600000']],
  [
    'a check at the director’s port',
    pool({ ports: { '80/tcp': { policy: 'director', check: {} } } }),
    [`ports.80/tcp.check: ${noCheck}`],
  ],
  [
    'a scheduler at the director’s port',
    port({ policy: 'director', scheduler: 'rr' }),
    ['ports.80/tcp.scheduler: there is no such field; take it out, or correct its name (GET /openapi.json lists them)'],
  ],
  [
    'a field that nobody knows',
    pool({ realServer: {}, Vip: '' }),
    [
      'realServer: there is no such field; take it out, or correct its name (GET /openapi.json lists them)',
      'Vip: there is no such field; take it out, or correct its name (GET /openapi.json lists them)',
    ],
  ],
  ['a name with capitals', server({}, 'RS1'), [`realServers.RS1: ${nameHelp}`]],
  ['a name that is too long', server({}, 'r'.repeat(64)), [`realServers.${'r'.repeat(64)}: ${nameHelp}`]],
  ['a weight as text', server({ weight: '100' }), ['realServers.rs1.weight: weight is a number, 0 to 65535']],
  ['half a weight', server({ weight: 0.5 }), ['realServers.rs1.weight: weight is a whole number, 0 to 65535']],
  ['a weight below 0', server({ weight: -1 }), ['realServers.rs1.weight: weight is at least 0']],
  ['a weight that is too much', server({ weight: 65536 }), ['realServers.rs1.weight: weight is at most 65535']],
  ['an unknown state', server({ state: 'down' }), [`realServers.rs1.state: ${stateHelp}`]],
  [
    'thresholds the wrong way round',
    server({ lowerThreshold: 3, upperThreshold: 2 }),
    ['realServers.rs1.lowerThreshold: lowerThreshold is at most upperThreshold'],
  ],
  [
    'a lower threshold alone',
    server({ lowerThreshold: 3 }),
    ['realServers.rs1.lowerThreshold: lowerThreshold is at most upperThreshold'],
  ],
  [
    'a threshold that IPVS cannot hold',
    server({ upperThreshold: 2 ** 32 }),
    ['realServers.rs1.upperThreshold: upperThreshold is at most 4294967295'],
  ],
  [
    'two families in one pool',
    server({ address: '2001:db8::11' }),
    [
      "realServers.rs1.address: the VIP is ipv4, so is every real server's address of this pool; dual stack is two pools",
    ],
  ],
  [
    'a real server that is the VIP',
    server({ address: '192.0.2.100' }),
    ["realServers.rs1.address: a real server's own address differs from the VIP"],
  ],
  [
    'two real servers of one address',
    pool({ realServers: { rs1: { address: '2001:db8::11' }, rs2: { address: '2001:DB8:0::11' } }, vip: '2001:db8::1' }),
    ['realServers.rs2.address: "rs1" of this pool has the same address; each real server has its own'],
  ],
];

t.test('every mistake is told with the field’s path and what would be right', async (t) => {
  for (const [what, value, told] of wrong) t.strictSame(errors(poolSchema, value), told, what);
});

t.test('several mistakes are told at once', async (t) => {
  const told = errors(poolsSchema, { Web: pool(), dns: pool({ vip: 'x', ports: { '53/udp': { policy: 'x' } } }) });
  t.strictSame(told, [`Web: ${nameHelp}`, `dns.vip: ${noAddress}`, `dns.ports.53/udp.policy: ${policyHelp}`]);
});

t.test('what is no object at all is told so', async (t) => {
  t.strictSame(errors(poolSchema, null), [': an object belongs here, not null']);
  t.strictSame(errors(poolsDocumentSchema, { pools: [] }), ['pools: an object belongs here, not array']);
});

t.test('what is left out has the defaults of the design', async (t) => {
  t.strictSame(poolSchema.parse(server({})), {
    vip: '192.0.2.100',
    ports: { '80/tcp': { policy: 'real-servers', scheduler: 'wlc' } },
    realServers: { rs1: { address: '192.0.2.11', weight: 100, state: 'active' } },
    attestation: 'required',
    agentTimeoutMs: 5000,
    slowStartMs: 0,
    balance: 'weights',
    maxEjectedPercent: 50,
    fallback: 'refuse',
  });
  t.strictSame(poolSchema.parse(pool()).realServers, {});
});

t.test('addresses are taken in every spelling and kept in one', async (t) => {
  t.equal(poolSchema.parse(pool({ vip: '2001:0DB8:0:0::0100' })).vip, '2001:db8::100');
  t.equal(realServerSchema.parse({ address: '2001:DB8::B' }).address, '2001:db8::b');
  const report = { protocol: 1, machineId: 'm', bootId: 'b', revision: 0, addresses: ['FD00::1'] };
  const parsed = reportSchema.parse({ ...report, vips: { 'FD00:0::2': { present: true, suppressed: true } } });
  t.match(parsed, { addresses: ['fd00::1'], vips: { 'fd00::2': {} }, problems: [] });
});

t.test('an agent of another protocol is told to install the same version', async (t) => {
  t.match(errors(reportSchema, { protocol: 2 }), [
    /^protocol: this controller speaks agent protocol 1; install the same/,
  ]);
});

t.test('a netmask has a length unless it has holes or is empty', async (t) => {
  t.strictSame(['128.0.0.0', '255.255.255.0', '255.255.255.255', 24].map(maskLength), [1, 24, 32, 24]);
  for (const bad of ['0.0.0.0', '255.0.255.0', '0.0.0.255', '::1', 'x', '']) t.equal(maskLength(bad), undefined, bad);
});

const jsonArb = fc.json({ maxDepth: 4 }).map((text) => JSON.parse(text) as unknown);
/** A valid document in which one part, somewhere, is something else. */
const spoiledArb = fc.tuple(poolsArb, jsonArb, fc.infiniteStream(fc.nat(9))).map(([pools, junk, choices]) => {
  let at = structuredClone(pools) as Record<string, unknown>;
  const document = at;
  for (;;) {
    const keys = Object.keys(at);
    const key = keys[choices.next().value! % Math.max(keys.length, 1)] ?? 'web';
    const below = at[key];
    if (typeof below !== 'object' || below === null || choices.next().value! < 3) {
      at[key] = junk;
      return document;
    }
    at = below as Record<string, unknown>;
  }
});

holds(
  t,
  'arbitrary JSON is refused or taken, never thrown at, and what is taken can be planned and is taken again',
  fc.property(fc.oneof(jsonArb, spoiledArb), (value) => {
    for (const schema of [poolSchema, reportSchema, poolsDocumentSchema, realServerSchema]) errors(schema, value);
    const result = poolsSchema.safeParse(value);
    if (!result.success) return errors(poolsSchema, value).length > 0;
    conflictsIn(result.data);
    desiredOf(factsOf(createSite({ state: replacePools(emptyState(), result.data, 0) })));
    return JSON.stringify(poolsSchema.parse(result.data)) === JSON.stringify(result.data);
  }),
  500,
);

holds(
  t,
  'a document that was read back is the same document',
  fc.property(poolsArb, (pools) => {
    const again = poolsDocumentSchema.parse(JSON.parse(JSON.stringify({ revision: 1, pools })));
    return JSON.stringify(again.pools) === JSON.stringify(pools);
  }),
);
