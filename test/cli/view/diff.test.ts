import fc from 'fast-check';
import t from 'tap';
import { parse } from 'yaml';
import { type Change, changesOf, deletionsIn, diffLines } from '../../../src/cli/view/diff.ts';
import { textOf } from '../../../src/cli/view/text.ts';
import { treeLines } from '../../../src/cli/view/tree.ts';
import { poolsArb } from '../../arbitraries.ts';
import { holds } from '../../property.ts';

type Json = Record<string, unknown>;
const dataArb = fc
  .dictionary(fc.string(), fc.jsonValue({ maxDepth: 3 }), { noNullPrototype: true, maxKeys: 4 })
  .map((value) => JSON.parse(JSON.stringify(value)) as Json);
/** Two documents that are often near each other. */
const twoArb = fc.oneof(
  fc.tuple(poolsArb, poolsArb),
  fc.tuple(dataArb, dataArb),
  fc.tuple(dataArb, dataArb).map(([a, b]) => [a, { ...a, ...b }]),
);
const sortedText = (value: unknown): string =>
  JSON.stringify(value, (_, member) =>
    typeof member === 'object' && member !== null && !Array.isArray(member)
      ? Object.fromEntries(Object.entries(member).sort(([a], [b]) => (a < b ? -1 : 1)))
      : member,
  );

/** The document after these changes. */
function changed(document: Json, changes: readonly Change[]): Json {
  const result = structuredClone(document);
  for (const { path, after } of changes) {
    let inside = result;
    for (const key of path.slice(0, -1)) inside = inside[key] as Json;
    const last = path.at(-1) ?? '';
    if (after === undefined) delete inside[last];
    else Object.defineProperty(inside, last, { value: after, enumerable: true, configurable: true, writable: true });
  }
  return result;
}

holds(
  t,
  'the difference is empty if and only if two documents are equal, in any order of their members',
  fc.property(twoArb, ([a, b]) => {
    const same = sortedText(a) === sortedText(b);
    return (diffLines(changesOf(a, b)).length === 0) === same && changesOf(a, structuredClone(a)).length === 0;
  }),
  300,
);

holds(
  t,
  'the changes make the one document from the other',
  fc.property(twoArb, ([a, b]) => sortedText(changed(a as Json, changesOf(a, b))) === sortedText(b)),
  300,
);

holds(
  t,
  'the lines without "+" and those without "-" differ by what their signs say',
  fc.property(fc.tuple(poolsArb, poolsArb), ([a, b]) => {
    const lines = diffLines(changesOf({ pools: a }, { pools: b })).map(textOf);
    const has = (document: unknown) => new Set(treeLines({ pools: document }));
    const [before, after] = [has(a), has(b)];
    return lines.every((line) => {
      const [sign, text] = [line[0], line.slice(2)];
      const around = (lines: Set<string>) => lines.has(text) || lines.has(`${text} {}`);
      return sign === '-' ? before.has(text) : sign === '+' ? after.has(text) : around(before) && around(after);
    });
  }),
);

holds(
  t,
  'a document as lines is YAML for that document',
  fc.property(
    fc.oneof(poolsArb, dataArb),
    (document) =>
      sortedText(parse(treeLines(document).join('\n'), { maxAliasCount: 0 }) ?? {}) === sortedText(document),
  ),
  300,
);

t.test('a difference names what is around it, what goes and what comes', async (t) => {
  const pool = { vip: '192.0.2.100', ports: { '80/tcp': { policy: 'director' } } };
  const before = {
    pools: {
      web: { ...pool, realServers: { rs1: { address: '192.0.2.11', weight: 100 }, rs2: { address: '192.0.2.12' } } },
      img: pool,
    },
  };
  const after = {
    pools: {
      web: { ...pool, realServers: { rs1: { address: '192.0.2.11', weight: 50 }, rs3: { address: '192.0.2.13' } } },
    },
  };
  const changes = changesOf(before, after);
  t.strictSame(diffLines(changes).map(textOf), [
    '  pools:',
    '    web:',
    '      realServers:',
    '        rs1:',
    '-         weight: 100',
    '+         weight: 50',
    '-       rs2:',
    '-         address: 192.0.2.12',
    '+       rs3:',
    '+         address: 192.0.2.13',
    '-   img:',
    '-     vip: 192.0.2.100',
    '-     ports:',
    '-       80/tcp:',
    '-         policy: director',
  ]);
  t.strictSame(deletionsIn(changes), ['real server web/rs2', 'pool img']);
  t.strictSame(deletionsIn(changesOf(before, { pools: { ...before.pools, img: { vip: pool.vip, ports: {} } } })), [
    'port img/80/tcp',
  ]);
  const without = { pools: { ...before.pools, web: pool } };
  t.strictSame(deletionsIn(changesOf(before, without)), ['real server web/rs1', 'real server web/rs2']);
  t.strictSame(deletionsIn(changesOf(after, { pools: { ...after.pools, img: pool } })), []);
});
