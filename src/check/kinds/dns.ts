import { randomInt } from 'node:crypto';
import { type DecodedPacket, decode, encode, RECURSION_DESIRED } from 'dns-packet';
import type { Check } from '../../check-schema.ts';
import type { Outcome } from '../../core/health.ts';
import type { Kind } from '../open.ts';
import { readError } from './faults.ts';
import { ok, quote, wrong } from './outcomes.ts';
import { sameName, sameRecord, textOf } from './record-text.ts';
import { collect, withStream } from './stream.ts';
import { withDatagram } from './udp.ts';

export type DnsCheck = Extract<Check, { type: 'dns' }>;

/** Asks a name server one question. */
export const dns: Kind<DnsCheck> = (probe) => {
  const { check, signal } = probe;
  const id = randomInt(0x10000);
  const query = queryOf(check, id);
  if ((check.transport ?? probe.protocol) === 'udp')
    return withDatagram(probe, async (datagram) => {
      datagram.send(query);
      // A late answer to another probe may come to the same port: RFC 5452 section 9.1 says to wait on.
      for (;;) {
        const outcome = judge(check, id, await datagram.receive(signal));
        if (outcome) return outcome;
      }
    });
  return withStream(probe, async (socket) => {
    const length = Buffer.allocUnsafe(2);
    length.writeUInt16BE(query.length);
    socket.write(Buffer.concat([length, query]));
    const bytes = await collect(socket, signal, 2 + 0xffff, (soFar) => soFar.length >= wholeLength(soFar));
    if (bytes.length === 0) return wrong('takes a connection, but closes it without an answer');
    const message = bytes.subarray(2, wholeLength(bytes));
    if (bytes.length < wholeLength(bytes)) return wrong('closes the connection in the middle of its answer');
    return judge(check, id, message) ?? wrong('answered a question with another id than was asked');
  });
};

/** Each message on a stream comes after its length in two bytes (RFC 1035 section 4.2.2). */
const wholeLength = (bytes: Buffer): number => (bytes.length < 2 ? 2 : 2 + bytes.readUInt16BE(0));

function queryOf({ name, recordType }: DnsCheck, id: number): Buffer {
  return encode({ type: 'query', id, flags: RECURSION_DESIRED, questions: [{ type: recordType, name: bare(name) }] });
}

const bare = (name: string): string => (name.endsWith('.') ? name.slice(0, -1) : name);

/** Response codes by number (IANA, DNS RCODEs). */
const rcodes = ['NOERROR', 'FORMERR', 'SERVFAIL', 'NXDOMAIN', 'NOTIMP', 'REFUSED'];

/** Undefined when it is the answer to another question: its id says so. */
function judge(check: DnsCheck, id: number, bytes: Uint8Array): Outcome | undefined {
  if (bytes.length >= 2 && ((bytes[0] ?? 0) << 8) + (bytes[1] ?? 0) !== id) return undefined;
  const message = decoded(bytes);
  if (typeof message === 'string') return wrong(`answered what is no DNS message: ${message}`);
  if (message.type !== 'response') return wrong('answered with a question instead of an answer');
  const number = (message.flags ?? 0) & 0xf;
  const rcode = rcodes[number] ?? `response code ${number}`;
  if (!check.rcodes.some((right) => right === rcode))
    return wrong(`answered ${rcode}, wanted ${check.rcodes.join(' or ')}`);
  const [asked, ...more] = message.questions ?? [];
  if (!asked || more.length > 0 || asked.type !== check.recordType || !sameName(asked.name, check.name))
    return wrong(`answered another question than ${check.recordType} of ${quote(check.name)}`);
  return check.answer === undefined ? ok(`answered ${rcode}`) : judgeRecords(check.answer, check.recordType, message);
}

function judgeRecords(wanted: string, type: DnsCheck['recordType'], message: DecodedPacket): Outcome {
  const texts = (message.answers ?? []).filter((answer) => answer.type === type).map(textOf);
  if (texts.some((text) => sameRecord(type, text, wanted))) return ok(`answered ${quote(wanted)}`);
  // Sorted, for servers that turn the order from answer to answer: the same records are the same words.
  const [first, ...others] = texts.sort();
  const found = first === undefined ? `no ${type} record` : quote(first) + (others.length > 0 ? ` and ${others.length} more` : ''); // biome-ignore format: short
  const cut = message.flag_tc ? ', and it is cut short: use "transport": "tcp"' : '';
  return wrong(`answered ${found}, wanted ${quote(wanted)}${cut}`);
}

function decoded(bytes: Uint8Array): DecodedPacket | string {
  try {
    return decode(Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length));
  } catch (error) {
    return readError(error).message;
  }
}
