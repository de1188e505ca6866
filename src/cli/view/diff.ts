import { isDeepStrictEqual } from 'node:util';
import { type Line, styled } from './text.ts';
import { entryLines, indent, isObject, scalar } from './tree.ts';

/** One difference between two documents: what is only before was removed, what is only after was added. */
export interface Change {
  path: readonly string[];
  before?: unknown;
  after?: unknown;
}

/** Where two documents of JSON differ, in their order; none when they are equal. The order of members is no difference. */
export function changesOf(before: unknown, after: unknown, path: readonly string[] = []): Change[] {
  if (isObject(before) && isObject(after)) {
    const keys = [...Object.keys(before), ...Object.keys(after).filter((key) => !Object.hasOwn(before, key))];
    return keys.flatMap((key) => changesOf(own(before, key), own(after, key), [...path, key]));
  }
  if (isDeepStrictEqual(before, after)) return [];
  return [{ path, ...(before !== undefined && { before }), ...(after !== undefined && { after }) }];
}

const own = (object: Record<string, unknown>, key: string) => (Object.hasOwn(object, key) ? object[key] : undefined);

/** The changes as lines: what is around them, "-" before what goes, "+" before what comes. */
export function diffLines(changes: readonly Change[]): Line[] {
  const lines: Line[] = [];
  let around: readonly string[] = [];
  for (const { path, before, after } of changes) {
    const parents = path.slice(0, -1);
    const known = parents.findIndex((key, i) => key !== around[i]);
    for (const [i, key] of parents.entries())
      if (known !== -1 && i >= known) lines.push(`  ${indent(i)}${scalar(key)}:`);
    around = parents;
    const entry = (value: unknown) => entryLines(path.at(-1) ?? '', value, parents.length);
    if (before !== undefined) lines.push(...entry(before).map((line) => styled('red', `- ${line}`)));
    if (after !== undefined) lines.push(...entry(after).map((line) => styled('green', `+ ${line}`)));
  }
  return lines;
}

/** What a change of a pools document takes away, in words: pools, ports, real servers. */
export function deletionsIn(changes: readonly Change[]): string[] {
  return changes.flatMap(({ path: [, pool, kind, name, ...deeper], before, after }) => {
    if (pool === undefined || after !== undefined || deeper.length > 0) return [];
    if (kind === undefined) return [`pool ${pool}`];
    if (name !== undefined)
      return kind === 'realServers'
        ? [`real server ${pool}/${name}`]
        : kind === 'ports'
          ? [`port ${pool}/${name}`]
          : [];
    return isObject(before) && kind === 'realServers'
      ? Object.keys(before).map((server) => `real server ${pool}/${server}`)
      : [];
  });
}
