import {
  align,
  readS32,
  readU16,
  readU16be,
  readU32,
  readU64,
  writeS32,
  writeU16,
  writeU16be,
  writeU32,
  writeU64,
} from 'netlink/dist/structs.js';
import { malformed } from './errors.ts';

/** How a value lies in a netlink attribute: in host order but for be16, strings with a NUL at the end. */
type Kind = 'u8' | 'u16' | 'u32' | 's32' | 'u64' | 'be16' | 'string' | 'bytes';

/** Attributes by the kernel's own names: number and kind, or the table of what is nested there. */
type Shape = Readonly<Record<string, readonly [type: number, kind: Kind | Table]>>;

interface Attribute {
  readonly name: string;
  readonly type: number;
  readonly kind: Kind | Table;
}

/** A {@link Shape} that can be read and written. */
export interface Table<S extends Shape = Shape> {
  readonly shape: S;
  readonly byName: ReadonlyMap<string, Attribute>;
  readonly byType: readonly (Attribute | undefined)[];
}

type Value<K> =
  K extends Table<infer S> ? Values<Table<S>> : K extends 'string' ? string : K extends 'bytes' ? Buffer : number;

/** What a message of this table says. `bytes` are a view of the buffer that was read, good until it is used again. */
export type Values<T extends Table> = { [N in keyof T['shape']]?: Value<T['shape'][N][1]> };

export function table<const S extends Shape>(shape: S): Table<S> {
  const all = Object.entries(shape).map(([name, [type, kind]]) => ({ name, type, kind }));
  const byType: Attribute[] = [];
  for (const attribute of all) byType[attribute.type] = attribute;
  return { shape, byType, byName: new Map(all.map((attribute) => [attribute.name, attribute])) };
}

/** Reads the attributes between two offsets; those that the table does not name are passed over. Throws KernelError EBADMSG. */
export function readAttributes<T extends Table>(table: T, buffer: Buffer, start: number, end: number): Values<T> {
  const values: Record<string, unknown> = {};
  let at = start;
  while (at + 4 <= end) {
    const length = readU16.call(buffer, at);
    if (length < 4 || at + length > end) throw malformed(`an attribute of ${length} bytes where ${end - at} are left`);
    const attribute = table.byType[readU16.call(buffer, at + 2) & NLA_TYPE_MASK];
    if (attribute) values[attribute.name] = readValue(attribute, buffer, at + 4, at + length);
    at += align(length);
  }
  return values as Values<T>;
}

// Nested and byte-order bits of nla_type (linux/netlink.h).
const NLA_TYPE_MASK = 0x3fff;

function readValue({ name, kind }: Attribute, buffer: Buffer, start: number, end: number): unknown {
  if (typeof kind === 'object') return readAttributes(kind, buffer, start, end);
  if (kind === 'bytes') return buffer.subarray(start, end);
  if (kind === 'string') return readString(buffer, start, end);
  if (end - start < width[kind]) throw malformed(`${name} has ${end - start} bytes, not ${width[kind]}`);
  switch (kind) {
    case 'u8':
      return buffer[start];
    case 'u16':
      return readU16.call(buffer, start);
    case 'be16':
      return readU16be.call(buffer, start);
    case 'u32':
      return readU32.call(buffer, start);
    case 's32':
      return readS32.call(buffer, start);
    case 'u64':
      return Number(readU64.call(buffer, start));
  }
}

const width = { u8: 1, u16: 2, be16: 2, u32: 4, s32: 4, u64: 8 } as const;

function readString(buffer: Buffer, start: number, end: number): string {
  const nul = buffer.indexOf(0, start);
  return buffer.toString('utf8', start, nul < 0 || nul > end ? end : nul);
}

/** A buffer that messages are written into, and how far it is filled. */
export interface Writer {
  readonly buffer: Buffer;
  at: number;
}

export const writer = (size: number): Writer => ({ buffer: Buffer.alloc(size), at: 0 });

/** Writes the attributes of `values` in their order. Throws RangeError for a number that does not fit or a full buffer. */
export function writeAttributes<T extends Table>(to: Writer, table: T, values: Values<T>): void {
  for (const name in values) {
    const attribute = table.byName.get(name);
    if (!attribute) continue;
    const start = to.at;
    to.at += 4;
    writeValue(to, attribute.kind, values[name as keyof typeof values]);
    const nested = typeof attribute.kind === 'object' ? NLA_F_NESTED : 0;
    writeU16.call(to.buffer, to.at - start, start);
    writeU16.call(to.buffer, attribute.type | nested, start + 2);
    const end = start + align(to.at - start);
    while (to.at < end) to.buffer[to.at++] = 0;
  }
}

const NLA_F_NESTED = 0x8000;

function writeValue(to: Writer, kind: Kind | Table, value: unknown): void {
  if (typeof kind === 'object') writeAttributes(to, kind, value as object);
  else if (kind === 'bytes') writeBytes(to, value as Uint8Array);
  else if (kind === 'string') writeBytes(to, Buffer.from(`${value}\0`));
  else {
    writeNumber(to.buffer, kind, value as number, to.at);
    to.at += width[kind];
  }
}

/** Appends bytes as they are. Throws RangeError for a full buffer. */
export function writeBytes(to: Writer, bytes: Uint8Array): void {
  to.buffer.set(bytes, to.at);
  to.at += bytes.length;
}

function writeNumber(buffer: Buffer, kind: keyof typeof width, value: number, at: number): void {
  switch (kind) {
    case 'u8':
      buffer.writeUInt8(value, at);
      break;
    case 'u16':
      writeU16.call(buffer, value, at);
      break;
    case 'be16':
      writeU16be.call(buffer, value, at);
      break;
    case 'u32':
      writeU32.call(buffer, value, at);
      break;
    case 's32':
      writeS32.call(buffer, value, at);
      break;
    case 'u64':
      writeU64.call(buffer, BigInt(value), at);
      break;
  }
}
