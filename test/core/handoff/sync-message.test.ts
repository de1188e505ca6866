import { isDeepStrictEqual } from 'node:util';
import fc from 'fast-check';
import t from 'tap';
import { fromBytes } from '../../../src/core/address.ts';
import { decodeSync, encodeSync, type SyncEntry, syncBytes } from '../../../src/core/handoff/sync-message.ts';
import { holds } from '../../property.ts';

const addressArb = (bytes: 4 | 16) => fc.uint8Array({ minLength: bytes, maxLength: bytes }).map(fromBytes);
const portArb = fc.integer({ min: 1, max: 65535 });
const entryArb: fc.Arbitrary<SyncEntry> = fc.constantFrom<4 | 16>(4, 16).chain((bytes) =>
  fc
    .record({
      vip: addressArb(bytes),
      port: portArb,
      client: addressArb(bytes),
      clientPort: portArb,
      destination: addressArb(bytes),
      state: fc.constantFrom('established' as const, 'time-wait' as const),
      timeout: fc.integer({ min: 0, max: 0xffff_ffff }),
    })
    .map((entry) => ({ ...entry })),
);

/** An address of 16 bytes may be written like one of 4 (::ffff:1.2.3.4): then it is no entry of one family. */
const isOneFamily = ({ vip, client, destination }: SyncEntry) =>
  new Set([vip, client, destination].map((one) => one.includes(':'))).size === 1;

holds(
  t,
  'what is encoded is decoded as it was, in datagrams that fit',
  fc.property(
    fc.integer({ min: 0, max: 255 }),
    fc.array(entryArb.filter(isOneFamily), { maxLength: 200 }),
    (syncId, entries) => {
      const messages = encodeSync(syncId, entries);
      const decoded = messages.map((message) => decodeSync(message));
      return (
        messages.every((message) => message.length <= syncBytes) &&
        decoded.every((one) => one?.syncId === syncId && one.entries.length > 0) &&
        isDeepStrictEqual(
          decoded.flatMap((one) => one?.entries ?? []),
          entries,
        )
      );
    },
  ),
);

holds(
  t,
  'no bytes make the decoder fail, and what is cut short is nothing',
  fc.property(
    fc.array(entryArb.filter(isOneFamily), { minLength: 1, maxLength: 5 }),
    fc.nat(),
    fc.nat(255),
    (entries, at, byte) => {
      const [message = new Uint8Array()] = encodeSync(7, entries);
      const changed = Uint8Array.from(message);
      changed[at % changed.length] = byte;
      decodeSync(changed);
      return decodeSync(message.subarray(0, at % message.length)) === undefined;
    },
  ),
);

t.test('a message is byte for byte what the kernel reads', async (t) => {
  const entry: SyncEntry = {
    vip: '192.0.2.100',
    port: 80,
    client: '198.51.100.10',
    clientPort: 40000,
    destination: '192.0.2.11',
    state: 'established',
    timeout: 0,
  };
  const head = '0007002c01010000';
  const tuple = '9c4000500050' + '00000000' + '00000000' + 'c633640a' + 'c0000264';
  const hex = (one: SyncEntry) => encodeSync(7, [one]).map((message) => Buffer.from(message).toString('hex'));
  t.same(hex(entry), [`${head}00060024000000030001${tuple}c000020b`]);
  t.same(
    hex({ ...entry, destination: entry.vip }),
    [`${head}00060024000000010001${tuple}c0000264`],
    'this host itself',
  );
  t.same(hex({ ...entry, state: 'time-wait', timeout: 60 }), [
    `${head}00060024000000030005${tuple}c000020b`.replace(
      '9c40005000500000000000000000',
      '9c4000500050000000000000003c',
    ),
  ]);
  t.same(encodeSync(7, []), []);
});

t.test('a count that says more than there is is nothing', async (t) => {
  const bytes = Uint8Array.from([0, 7, 0, 8, 1, 1, 0, 0]);
  t.equal(decodeSync(bytes), undefined);
  t.same(decodeSync(Uint8Array.from([0, 7, 0, 8, 0, 1, 0, 0])), { syncId: 7, entries: [] });
  t.equal(decodeSync(Uint8Array.from([0, 7, 0, 8, 0, 2, 0, 0])), undefined, 'another version');
  t.equal(decodeSync(Uint8Array.from([0, 7, 0, 12, 0, 1, 0, 0, 1, 2, 3, 4])), undefined, 'something behind');
});
