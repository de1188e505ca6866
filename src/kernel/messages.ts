import { FlagsAck, MessageType } from 'netlink/dist/constants.js';
import { align, HEADER_LENGTH, readS32, readU16, readU32, writeU16, writeU32 } from 'netlink/dist/structs.js';
import { readAttributes, table, type Writer } from './attributes.ts';
import { malformed, type Refusal } from './errors.ts';

/** One netlink message in a receive buffer: its header and where its payload lies. */
export interface Message {
  type: number;
  flags: number;
  seq: number;
  buffer: Buffer;
  start: number;
  end: number;
}

/** Reads the message at `at` of a datagram of `length` bytes (struct nlmsghdr, linux/netlink.h). Throws KernelError EBADMSG. */
export function readMessage(buffer: Buffer, at: number, length: number): Message {
  const size = at + HEADER_LENGTH <= length ? readU32.call(buffer, at) : 0;
  if (size < HEADER_LENGTH || at + size > length)
    throw malformed(`a message of ${size} bytes where ${length - at} are left`);
  return {
    type: readU16.call(buffer, at + 4),
    flags: readU16.call(buffer, at + 6),
    seq: readU32.call(buffer, at + 8),
    buffer,
    start: at + HEADER_LENGTH,
    end: at + size,
  };
}

/** Where the message after this one begins. */
export const next = (message: Message): number => align(message.end);

/** Appends a message; answers where it begins. When `write` throws nothing is appended. */
export function writeMessage(
  to: Writer,
  type: number,
  flags: number,
  seq: number,
  write: (to: Writer) => void,
): number {
  const start = to.at;
  try {
    to.at += HEADER_LENGTH;
    write(to);
    to.at = align(to.at);
    writeU32.call(to.buffer, to.at - start, start);
    writeU16.call(to.buffer, type, start + 4);
    writeFlags(to, start, flags);
    writeU32.call(to.buffer, seq, start + 8);
    writeU32.call(to.buffer, 0, start + 12);
    return start;
  } catch (error) {
    to.at = start;
    throw error;
  }
}

/** Sets the flags of a message that is already written. */
export function writeFlags(to: Writer, start: number, flags: number): void {
  writeU16.call(to.buffer, flags, start + 6);
}

/** What an ERROR or DONE message says; undefined is success (struct nlmsgerr, or an int, then extended attributes). */
export function refusalOf({ type, flags, buffer, start, end }: Message): Refusal | undefined {
  const isError = type === MessageType.ERROR;
  if (start + 4 > end) {
    if (isError) throw malformed('an error without a number');
    return undefined;
  }
  const errno = -readS32.call(buffer, start);
  if (errno <= 0) return undefined;
  const hasWords = (flags & FlagsAck.ACK_TLVS) !== 0 && (!isError || (flags & FlagsAck.CAPPED) !== 0);
  if (!hasWords) return { errno };
  const { MSG } = readAttributes(EXTENDED, buffer, start + 4 + (isError ? HEADER_LENGTH : 0), end);
  return MSG ? { errno, detail: MSG } : { errno };
}

// enum nlmsgerr_attrs (linux/netlink.h).
const EXTENDED = table({ MSG: [1, 'string'] });
