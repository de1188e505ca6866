import fc from 'fast-check';
import t from 'tap';
import { toBytes } from '../../src/core/address.ts';
import { table, writeAttributes, writeBytes } from '../../src/kernel/attributes.ts';
import { KernelError } from '../../src/kernel/errors.ts';
import { readListener, takes } from '../../src/kernel/sock-diag.ts';
import { holds } from '../property.ts';
import { datagram, messagesOf } from './wires.ts';

/** struct inet_diag_msg of a socket that listens. */
function socket(address: string, port: number, v6only?: boolean) {
  const bytes = toBytes(address);
  const [message] = messagesOf(
    datagram(20, 1, (to) => {
      const head = Buffer.alloc(72);
      head[0] = bytes.length === 4 ? 2 : 10;
      head.writeUInt16BE(port, 4);
      head.set(bytes, 8);
      writeBytes(to, head);
      if (v6only !== undefined) writeAttributes(to, table({ SKV6ONLY: [11, 'u8'] }), { SKV6ONLY: v6only ? 1 : 0 });
    }),
  );
  return readListener(message!)!;
}

const VIP = '192.0.2.100';
const VIP6 = '2001:db8::100';

t.test('a socket takes what comes to its own address or, on a wildcard, to any', async (t) => {
  for (const [bound, v6only, takes4, takes6] of [
    [VIP, undefined, true, false],
    ['0.0.0.0', undefined, true, false],
    ['127.0.0.1', undefined, false, false],
    [VIP6, false, false, true],
    ['::', false, true, true],
    ['::', true, false, true],
    ['::1', false, false, false],
    [`::ffff:${VIP}`, false, true, false],
    ['::ffff:127.0.0.1', false, false, false],
    ['::ffff:0.0.0.0', false, true, false],
  ] as const) {
    const listener = socket(bound, 80, v6only);
    t.equal(takes(listener, VIP), takes4, `${bound} ${v6only ? 'v6only ' : ''}for ${VIP}`);
    t.equal(takes(listener, VIP6), takes6, `${bound} ${v6only ? 'v6only ' : ''}for ${VIP6}`);
    t.equal(listener.port, 80);
  }
});

holds(
  t,
  'any bytes at all are a socket or a KernelError',
  fc.property(fc.uint8Array({ maxLength: 100 }), (noise) => {
    const [message] = messagesOf(datagram(20, 1, (to) => writeBytes(to, noise)));
    try {
      readListener(message!);
    } catch (error) {
      if (!(error instanceof KernelError)) throw error;
    }
  }),
);
