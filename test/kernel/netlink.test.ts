import { constants } from 'node:os';
import fc from 'fast-check';
import t from 'tap';
import { KernelError } from '../../src/kernel/errors.ts';
import { BATCH, netlinkOver, type Request } from '../../src/kernel/netlink.ts';
import { holds } from '../property.ts';
import { answer, datagram, messagesOf, wireThat } from './wires.ts';

const { EEXIST, EINVAL, ENOBUFS, EINTR, EPERM } = constants.errno;
const DONE = 3;
const ACK = 4;
const DUMP_INTR = 16;

const request: Request = { doing: 'read it', type: 20, write: () => {} };
/** What a test reads of a message: the byte that it has. */
const read = ({ buffer, start }: { buffer: Buffer; start: number }) => buffer[start];
const item = (seq: number, byte: number, flags = 2) =>
  datagram(
    20,
    seq,
    (to) => {
      to.buffer[to.at++] = byte;
    },
    flags,
  );
const done = (seq: number) =>
  datagram(DONE, seq, (to) => {
    to.at += 4;
  });

t.test('a request is answered by what comes back for it, and only that', async (t) => {
  const wire = wireThat((sent) => {
    const { seq } = messagesOf(sent)[0]!;
    return [item(seq + 7, 1), item(seq, 5), answer(seq - 1, EINVAL), answer(seq, 0)];
  });
  t.strictSame(netlinkOver(wire).ask(request, read), [5]);
  t.equal(wire.resets, 0);
});

t.test('a refused request throws with the errno by name and says what was being done', async (t) => {
  const wire = wireThat((sent) => [answer(messagesOf(sent)[0]!.seq, EPERM)]);
  t.throws(() => netlinkOver(wire).ask(request), {
    code: 'EPERM',
    exitCode: 3,
    message: /^cannot read it: .*CAP_NET_ADMIN/,
  });
});

t.test('a dump reads over as many datagrams as it takes', async (t) => {
  const wire = wireThat((sent) => {
    const { seq } = messagesOf(sent)[0]!;
    return [Buffer.concat([item(seq, 1), item(seq, 2)]), item(seq, 3), done(seq)];
  });
  t.strictSame(netlinkOver(wire).dump(request, read), [1, 2, 3]);
});

t.test('a dump that was interrupted or overran is asked for again, from a fresh socket after an overrun', async (t) => {
  let asked = 0;
  const wire = wireThat((sent) => {
    const { seq } = messagesOf(sent)[0]!;
    asked += 1;
    if (asked === 1) return [item(seq, 1, 2 | DUMP_INTR), done(seq)];
    if (asked === 2) return [item(seq, 1), -ENOBUFS, done(seq)];
    return [item(seq, 9), done(seq)];
  });
  t.strictSame(netlinkOver(wire).dump(request, read), [9]);
  t.equal(asked, 3);
  t.equal(wire.resets, 1);
});

t.test('a table that never holds still is an error, not a loop', async (t) => {
  const wire = wireThat((sent) => [datagram(DONE, messagesOf(sent)[0]!.seq, () => {}, DUMP_INTR)]);
  t.throws(() => netlinkOver(wire).dump(request, read), { code: 'EAGAIN' });
});

t.test('an answer that never comes is an error, not a wait', async (t) => {
  t.throws(() => netlinkOver(wireThat(() => [])).ask(request), { code: 'EAGAIN', message: /lost/ });
});

t.test('a call that a signal interrupted is made again', async (t) => {
  let sends = 0;
  const wire = wireThat((sent) => {
    sends += 1;
    return sends === 1 ? -EINTR : [-EINTR, answer(messagesOf(sent)[0]!.seq, 0)];
  });
  t.strictSame(netlinkOver(wire).ask(request), []);
});

t.test('a batch is one send, of which the kernel acknowledges the last and refuses by number', async (t) => {
  const wire = wireThat((sent) => {
    const messages = messagesOf(sent);
    t.strictSame(
      messages.map(({ flags }) => flags & ACK),
      [0, 0, 0, ACK],
    );
    return [answer(messages[1]!.seq, EEXIST), answer(messages[3]!.seq, 0)];
  });
  const refusals = netlinkOver(wire).batch(30, ['a', 'b', 'c', 'd'], () => {});
  t.strictSame(refusals, [undefined, { errno: EEXIST }, undefined, undefined]);
  t.equal(wire.sent.length, 1);
});

t.test('what cannot be written is refused and the others are sent', async (t) => {
  const wire = wireThat((sent) => {
    const messages = messagesOf(sent);
    return [answer(messages[0]!.seq, EPERM), answer(messages.at(-1)!.seq, 0)];
  });
  const refusals = netlinkOver(wire).batch(30, [1, -1, 2, -2], (to, n) => {
    to.at = to.buffer.writeUInt8(n, to.at);
  });
  t.match(refusals, [{ errno: EPERM }, { errno: EINVAL, detail: /range/ }, undefined, { errno: EINVAL }]);
  t.equal(messagesOf(wire.sent[0]!).length, 2);
});

t.test('an empty batch, or one of which nothing can be written, sends nothing', async (t) => {
  const wire = wireThat(() => []);
  t.strictSame(
    netlinkOver(wire).batch(30, [], () => {}),
    [],
  );
  netlinkOver(wire).batch(30, [1], () => {
    throw new Error('no');
  });
  t.strictSame(wire.sent, []);
});

holds(
  t,
  'each item of a batch has its own answer, however many answers a small buffer loses',
  fc.property(
    fc.array(fc.constantFrom(0, 0, EEXIST, EPERM), { maxLength: BATCH }),
    fc.integer({ min: 1, max: 200 }),
    (errnos, room) => {
      const wire = wireThat((sent) => {
        const answers = messagesOf(sent).flatMap(({ buffer, start, seq, flags }) => {
          const errno = errnos[buffer[start]!]!;
          return errno !== 0 || (flags & ACK) !== 0 ? [answer(seq, errno)] : [];
        });
        return answers.length <= room ? answers : [...answers.slice(0, room), -ENOBUFS];
      });
      const refusals = netlinkOver(wire).batch(30, [...errnos.keys()], (to, n) => {
        to.at = to.buffer.writeUInt8(n, to.at);
      });
      return refusals.every((refusal, index) => (refusal?.errno ?? 0) === errnos[index]);
    },
  ),
);

t.test('an item whose answer is lost even alone is refused', async (t) => {
  const refusals = netlinkOver(wireThat(() => [-ENOBUFS])).batch(30, [1, 2], () => {});
  t.strictSame(refusals, [{ errno: ENOBUFS }, { errno: ENOBUFS }]);
});

/** A datagram that a broken kernel might send: anything, or a right answer with some bytes changed or cut off. */
const brokenArb = fc.tuple(
  fc.constantFrom('any', 'item', 'done', 'error'),
  fc.uint8Array({ maxLength: 40 }),
  fc.nat(40),
  fc.option(fc.nat(40)),
);

holds(
  t,
  'whatever a broken kernel sends, each call ends, with an answer or a KernelError, and what it left is used up',
  fc.property(fc.array(brokenArb, { maxLength: 6 }), (script) => {
    let broken = true;
    const wire = wireThat((sent) => {
      const { seq } = messagesOf(sent)[0]!;
      if (!broken) return [answer(seq, 0)];
      return script.map(([kind, noise, at, cut]) => {
        const right = { any: Buffer.alloc(0), item: item(seq, 1), done: done(seq), error: answer(seq, 0) }[kind];
        const bytes = kind === 'any' ? Buffer.from(noise) : Buffer.concat([right, Buffer.alloc(40)]);
        if (kind !== 'any') bytes.set(noise.subarray(0, 3), at);
        return bytes.subarray(0, cut ?? (kind === 'any' ? bytes.length : right.length));
      });
    });
    const netlink = netlinkOver(wire);
    const ends = (call: () => unknown) => {
      try {
        call();
      } catch (error) {
        if (!(error instanceof KernelError)) throw error;
      }
    };
    ends(() => netlink.ask(request, read));
    ends(() => netlink.dump(request, read));
    ends(() => netlink.batch(30, [1, 2, 3], () => {}));
    broken = false;
    // A datagram that came after the end of an answer is found by a later call: each uses up one of them at least.
    for (const _ of script) ends(() => netlink.ask(request, read));
    netlink.ask(request, read);
  }),
  2000,
);

t.test('closing closes the wire', async (t) => {
  const wire = wireThat(() => []);
  netlinkOver(wire).close();
  t.ok(wire.closed);
});
