import fc from 'fast-check';
import t from 'tap';
import { lineOf, rangeOf } from '../../../src/web/edit/json-path.ts';
import { poolsArb } from '../../arbitraries.ts';
import { holds } from '../../property.ts';

const text = `{
  "vip": "192.0.2.100",
  "ports": { "80/tcp": { "policy": "real-servers", "schedulerFlags": ["sh-port", "x"] } },
  "nonsense": true
}`;
const at = (path: string, of = text) => {
  const range = rangeOf(of, path);
  return range && of.slice(range.from, range.to);
};

t.test('a path leads to its value, and to its name where it is a field', async (t) => {
  t.equal(at('vip'), '"vip": "192.0.2.100"');
  t.equal(at('ports.80/tcp.policy'), '"policy": "real-servers"');
  t.equal(at('ports.80/tcp.schedulerFlags.1'), '"x"');
  t.equal(at('nonsense'), '"nonsense": true');
  t.equal(at(''), text);
});

t.test('what is missing leads to where it belongs', async (t) => {
  t.equal(at('ports.80/tcp.scheduler'), '{ "policy": "real-servers", "schedulerFlags": ["sh-port", "x"] }');
  t.equal(at('realServers.rs1'), text);
});

t.test('no JSON leads nowhere', async (t) => {
  for (const broken of ['', '{', '{"a"', '{"a":', '{"a":1,', '["', '{"a":}', '[1 2]'])
    t.equal(rangeOf(broken, 'a'), undefined, broken);
});

t.test('lines are counted from 1', async (t) => {
  t.equal(lineOf(text, 0), 1);
  t.equal(lineOf(text, rangeOf(text, 'nonsense')?.from ?? 0), 4);
});

t.test('in any pools document', async (t) => {
  const paths = (value: unknown, path: string[] = []): string[][] =>
    typeof value === 'object' && value !== null
      ? Object.entries(value).flatMap(([key, member]) => [[...path, key], ...paths(member, [...path, key])])
      : [];
  holds(
    t,
    'the text at a path is the value there',
    fc.property(poolsArb, fc.nat(), fc.constantFrom(0, 2), (pools, pick, indent) => {
      const all = paths(pools);
      const path = all[pick % Math.max(1, all.length)];
      // A name with a dot in it may mean another path.
      if (!path || path.some((key) => key.includes('.') || key === '')) return true;
      const value = path.reduce<unknown>((of, key) => (of as Record<string, unknown>)[key], pools);
      const whole = JSON.stringify(pools, undefined, indent);
      const found = at(path.join('.'), whole) ?? '';
      const bare =
        found.startsWith(JSON.stringify(path.at(-1))) && found !== JSON.stringify(value)
          ? found.slice(found.indexOf(':') + 1)
          : found;
      return JSON.stringify(JSON.parse(bare)) === JSON.stringify(value);
    }),
    500,
  );
});
