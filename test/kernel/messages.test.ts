import { deepStrictEqual, ok } from 'node:assert/strict';
import fc from 'fast-check';
import t from 'tap';
import { readAttributes, table, type Values, writeAttributes, writer } from '../../src/kernel/attributes.ts';
import { KernelError } from '../../src/kernel/errors.ts';
import { next, readMessage, refusalOf, writeMessage } from '../../src/kernel/messages.ts';
import { holds } from '../property.ts';
import { answer, datagram, messagesOf } from './wires.ts';

const inner = table({ TEXT: [1, 'string'], SMALL: [2, 'u8'], BIG: [9, 'u64'] });
const every = table({
  U8: [1, 'u8'],
  U16: [2, 'u16'],
  BE16: [3, 'be16'],
  U32: [4, 'u32'],
  S32: [5, 's32'],
  U64: [6, 'u64'],
  TEXT: [7, 'string'],
  BYTES: [8, 'bytes'],
  INNER: [40, inner],
});

const text = fc.string({ unit: fc.constantFrom('a', 'Z', '0', '-', 'ü', '❤') });
const u64 = fc.nat(Number.MAX_SAFE_INTEGER);
const record = <T>(model: T) => fc.record(model as never, { requiredKeys: [], noNullPrototype: true });
const valuesArb = record({
  U8: fc.nat(255),
  U16: fc.nat(65535),
  BE16: fc.nat(65535),
  U32: fc.integer({ min: 0, max: 2 ** 32 - 1 }),
  S32: fc.integer(),
  U64: u64,
  TEXT: text,
  BYTES: fc.uint8Array({ maxLength: 9 }).map((bytes) => Buffer.from(bytes)),
  INNER: record({ TEXT: text, SMALL: fc.nat(255), BIG: u64 }),
}) as fc.Arbitrary<Values<typeof every>>;

holds(
  t,
  'attributes are read as they were written, whatever was in the buffer before',
  fc.property(valuesArb, fc.nat(255), (values, dirt) => {
    const to = writer(1024);
    to.buffer.fill(dirt);
    writeAttributes(to, every, values);
    deepStrictEqual(readAttributes(every, to.buffer, 0, to.at), values);
    return to.at % 4 === 0;
  }),
);

t.test('attributes that the table does not name are passed over', async (t) => {
  const to = writer(64);
  writeAttributes(to, every, { U8: 1, TEXT: 'x', S32: -5 });
  t.strictSame(readAttributes(table({ S32: [5, 's32'] }), to.buffer, 0, to.at), { S32: -5 });
});

t.test('a string without its NUL ends with its attribute', async (t) => {
  const bytes = Buffer.from([6, 0, 7, 0, 0x68, 0x69, 0, 0, 5, 0, 1, 0, 0x21]);
  t.strictSame(readAttributes(every, bytes, 0, bytes.length), { TEXT: 'hi', U8: 0x21 });
});

holds(
  t,
  'reading any bytes at all as attributes gives values or a KernelError',
  fc.property(fc.uint8Array({ maxLength: 80 }), (bytes) => {
    try {
      readAttributes(every, Buffer.from(bytes), 0, bytes.length);
    } catch (error) {
      if (!(error instanceof KernelError)) throw error;
    }
  }),
  2000,
);

t.test('a message that does not fit is an error, and the writer is where it was', async (t) => {
  const to = writer(40);
  t.throws(() => writeMessage(to, 16, 1, 1, (into) => writeAttributes(into, every, { BYTES: Buffer.alloc(99) })));
  t.equal(to.at, 0);
});

holds(
  t,
  'messages of one datagram are read as they were written',
  fc.property(fc.array(fc.tuple(fc.nat(65535), fc.nat(65535), fc.nat(), fc.nat(9)), { minLength: 1 }), (list) => {
    const to = writer(8192);
    for (const [type, flags, seq, size] of list)
      writeMessage(to, type, flags, seq, (into) => {
        into.at += size;
      });
    const read = messagesOf(to.buffer.subarray(0, to.at));
    deepStrictEqual(
      read.map(({ type, flags, seq }) => [type, flags, seq]),
      list.map(([type, flags, seq]) => [type, flags, seq]),
    );
  }),
);

holds(
  t,
  'reading any bytes at all as messages goes forward or gives a KernelError',
  fc.property(fc.uint8Array({ minLength: 1, maxLength: 64 }), (bytes) => {
    const buffer = Buffer.from(bytes);
    try {
      for (let at = 0; at < buffer.length; ) {
        const message = readMessage(buffer, at, buffer.length);
        ok(next(message) >= at + 16);
        at = next(message);
        refusalOf(message);
      }
    } catch (error) {
      if (!(error instanceof KernelError)) throw error;
    }
  }),
  2000,
);

t.test('an errno of 0 is success, any other a refusal with the kernel’s words where it gave some', async (t) => {
  const [ack, bare] = [answer(1, 0), answer(1, 22)].map((bytes) => messagesOf(bytes)[0]!);
  t.equal(refusalOf(ack!), undefined);
  t.strictSame(refusalOf(bare!), { errno: 22 });
  const ACK_TLVS_AND_CAPPED = 0x300;
  const wordy = datagram(
    2,
    1,
    (to) => {
      to.at = to.buffer.writeInt32LE(-95, to.at) + 16;
      writeAttributes(to, table({ MSG: [1, 'string'] }), { MSG: 'Not here' });
    },
    ACK_TLVS_AND_CAPPED,
  );
  t.strictSame(refusalOf(messagesOf(wordy)[0]!), { errno: 95, detail: 'Not here' });
});
