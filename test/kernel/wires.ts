import { constants } from 'node:os';
import { type Writer, writer } from '../../src/kernel/attributes.ts';
import { type Message, next, readMessage, writeMessage } from '../../src/kernel/messages.ts';
import type { Wire } from '../../src/kernel/wire.ts';

/** A datagram of one message, as the kernel would send it. */
export function datagram(type: number, seq: number, write: (to: Writer) => void = () => {}, flags = 0): Buffer {
  const to = writer(1 << 15);
  writeMessage(to, type, flags, seq, write);
  return to.buffer.subarray(0, to.at);
}

/** NLMSG_ERROR with an errno, or an acknowledgement for 0. */
export const answer = (seq: number, errno: number): Buffer =>
  datagram(2, seq, (to) => {
    to.at = to.buffer.writeInt32LE(-errno, to.at) + 16;
  });

/** The messages in what was sent. */
export function messagesOf(sent: Buffer): Message[] {
  const messages: Message[] = [];
  for (let at = 0; at < sent.length; ) {
    const message = readMessage(sent, at, sent.length);
    messages.push(message);
    at = next(message);
  }
  return messages;
}

export interface FakeWire extends Wire {
  sent: Buffer[];
  resets: number;
  closed: boolean;
}

/** A wire whose kernel answers each send with what `reply` makes of it: datagrams, or a negative errno in one's place. */
export function wireThat(reply: (sent: Buffer) => (Buffer | number)[] | number): FakeWire {
  let waiting: (Buffer | number)[] = [];
  const wire: FakeWire = {
    sent: [],
    resets: 0,
    closed: false,
    send(bytes, length) {
      const copy = Buffer.from(bytes.subarray(0, length));
      wire.sent.push(copy);
      const answers = reply(copy);
      if (typeof answers === 'number') return answers;
      waiting.push(...answers);
      return length;
    },
    recv(into) {
      const head = waiting.shift();
      if (head === undefined) return -constants.errno.EAGAIN;
      if (typeof head === 'number') return head;
      into.set(head.subarray(0, into.length));
      return head.length;
    },
    reset() {
      waiting = [];
      wire.resets += 1;
    },
    close() {
      wire.closed = true;
    },
  };
  return wire;
}
