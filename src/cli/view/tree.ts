import { jsonText } from './text.ts';

/** Words, IPv4 addresses, ports such as 80/tcp, and short IPv6 addresses: no YAML takes them for anything but text. */
const plain = /^([A-Za-z][\w./:-]*|\d+\.\d+\.\d+\.\d+|\d+\/[a-z]+|[\da-f]+(:[\da-f]+)*::[\da-f]+(:[\da-f]+)*)$/;
const words = /^(true|false|null|yes|no|on|off|y|n)$/i;

/** JSON data as lines of YAML, two spaces a level. */
export function treeLines(value: unknown, depth = 0): string[] {
  if (!isObject(value) || Object.keys(value).length === 0) return [indent(depth) + scalar(value)];
  return Object.entries(value).flatMap(([key, member]) => entryLines(key, member, depth));
}

/** One member of an object, as {@link treeLines} has it. */
export function entryLines(key: string, value: unknown, depth: number): string[] {
  const name = `${indent(depth)}${scalar(key)}:`;
  if (isObject(value) && Object.keys(value).length > 0) return [name, ...treeLines(value, depth + 1)];
  return [`${name} ${scalar(value)}`];
}

export const indent = (depth: number): string => '  '.repeat(depth);

export const isObject = (value: unknown): value is Record<string, unknown> =>
  typeof value === 'object' && value !== null && !Array.isArray(value);

/** Whatever YAML could read as something else is in quotes. */
export const scalar = (value: unknown): string =>
  typeof value === 'string' && plain.test(value) && !words.test(value) && !value.endsWith(':')
    ? value
    : jsonText(value);
