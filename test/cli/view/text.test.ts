import fc from 'fast-check';
import t from 'tap';
import { progressBar, progressLine } from '../../../src/cli/view/progress.ts';
import { eventReader } from '../../../src/cli/view/sse.ts';
import { table } from '../../../src/cli/view/table.ts';
import { clip, jsonText, type Line, render, styled, textOf, visible, widthOf } from '../../../src/cli/view/text.ts';
import { durationText, mbitText, parseDuration, percentText } from '../../../src/cli/view/units.ts';
import { holds } from '../../property.ts';

// biome-ignore lint/suspicious/noControlCharactersInRegex: what is looked for
const raw = /[\u0000-\u001f\u007f-\u009f\u2028-\u202e\u2066-\u2069]/;
const nasty = fc.oneof(
  fc.string({ unit: 'binary' }),
  fc.constantFrom('\u001b[2J', '\u009b31m', 'a\nb', '\r', '\u202e', '\u0007', '\u001b]0;title\u0007'),
);
const lineArb: fc.Arbitrary<Line> = fc.array(
  fc.oneof(
    nasty,
    nasty.map((text) => styled('red', text)),
  ),
);

holds(
  t,
  'no control character of a text reaches the terminal, and colours come from styles alone',
  fc.property(lineArb, (line) => {
    const [plain, coloured] = [render(line, false), render(line, true)];
    // biome-ignore lint/suspicious/noControlCharactersInRegex: what is written for a style
    return !raw.test(plain) && coloured.replace(/\u001b\[31m|\u001b\[0m/g, '') === plain;
  }),
  500,
);

holds(
  t,
  'JSON is the same data, and nothing in it that a terminal obeys',
  fc.property(nasty, fc.jsonValue(), fc.constantFrom(undefined, 2), (key, value, indent) => {
    const text = jsonText({ [key]: value, key }, indent);
    return (
      !raw.test(text.replaceAll('\n', '')) && JSON.stringify(JSON.parse(text)) === JSON.stringify({ [key]: value, key })
    );
  }),
  500,
);

holds(
  t,
  'a clipped line is as wide as allowed, and begins as the line does',
  fc.property(lineArb, fc.nat(30), (line, width) => {
    const clipped = clip(line, width);
    return widthOf(clipped) <= width && textOf(line).startsWith(textOf(clipped).replace(/…$/, ''));
  }),
);

holds(
  t,
  'the columns of a table begin at the same place in every row',
  fc.property(fc.array(fc.tuple(nasty, nasty, nasty), { minLength: 1 }), (rows) => {
    const lines = table(['A', '>B', 'C'], rows).map(textOf);
    const ends = lines.map(
      (line, i) => [...line].length - [...visible(i === 0 ? 'C' : (rows[i - 1]?.[2] ?? ''))].length,
    );
    return new Set(ends).size === 1;
  }),
);

holds(
  t,
  'events are the same in whatever pieces they come',
  fc.property(
    fc.array(fc.record({ id: fc.nat(), data: fc.string().filter((text) => text !== '' && !/[\r\n]/.test(text)) })),
    fc.infiniteStream(fc.integer({ min: 1, max: 20 })),
    (events, sizes) => {
      const text = `: hello\n\n${events.map(({ id, data }) => `id: ${id}\nevent: x\ndata: ${data}\n\n`).join('')}`;
      const read = eventReader();
      const found = [];
      for (let at = 0; at < text.length; ) {
        const size = sizes.next().value ?? 1;
        found.push(...read(text.slice(at, at + size)));
        at += size;
      }
      return JSON.stringify(found.map(({ id, data }) => ({ id: Number(id), data }))) === JSON.stringify(events);
    },
  ),
);

t.test('events have lines of any end, several of data, and a default type', async (t) => {
  t.strictSame(eventReader()('retry: 1\r\ndata: a\r\ndata:b\r\n\r\nevent: e\rdata: c\n\n'), [
    { id: undefined, event: 'message', data: 'a\nb' },
    { id: undefined, event: 'e', data: 'c' },
  ]);
});

t.test('a bar is full when no connection is left, and not before', async (t) => {
  t.equal(progressBar({ most: 0, remaining: 0 }), `[${'#'.repeat(24)}]`);
  t.equal(progressBar({ most: 4, remaining: 4 }), `[${'-'.repeat(24)}]`);
  t.equal(progressBar({ most: 4, remaining: 2 }), `[${'#'.repeat(12)}${'-'.repeat(12)}]`);
  t.equal(progressBar({ most: 100_000, remaining: 1 }), `[${'#'.repeat(23)}-]`);
  const progress = { name: 'web/rs1', most: 4, remaining: 1, leftMs: 9000 };
  t.equal(textOf(progressLine(progress, false)), 'web/rs1  1 connection left, 9 s to the deadline');
  t.match(textOf(progressLine({ ...progress, remaining: 0 }, true)), /^web\/rs1 {2}\[#{24}\] {2}none left/);
});

t.test('times and rates read well', async (t) => {
  t.strictSame(['30s', '30', '500ms', '2m', '1h', '1.5s', '0', 'x', '-1', '', '1d', '1w'].map(parseDuration), [
    30_000,
    30_000,
    500,
    120_000,
    3_600_000,
    1500,
    0,
    undefined,
    undefined,
    undefined,
    86_400_000,
    undefined,
  ]);
  t.strictSame([10, 12_000, 180_000, 7_300_000].map(durationText), ['10 ms', '12 s', '3 min', '2 h']);
  t.strictSame([0, 1.234, 12.34, 942.4].map(mbitText), ['0.00', '1.23', '12.3', '942']);
  t.strictSame([null, 1.23, 84.6].map(percentText), ['?', '1.2 %', '85 %']);
});
