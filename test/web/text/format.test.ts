import fc from 'fast-check';
import t from 'tap';
import { ago, compact, count, mbit, nothing, percent, shortName, some, speed } from '../../../src/web/text/format.ts';
import { holds } from '../../property.ts';

t.test('rates have three digits where they tell something', async (t) => {
  const cases: [number | null | undefined, string][] = [
    [0, '0'],
    [0.0001, '<0.001'],
    [0.0123, '0.012'],
    [1.234, '1.23'],
    [9.996, '10.0'],
    [12.34, '12.3'],
    [99.96, '100'],
    [123.4, '123'],
    [12_345, '12\u202f345'],
    [null, nothing],
    [undefined, nothing],
    [Number.NaN, nothing],
  ];
  for (const [value, words] of cases) t.equal(mbit(value), words, `${value}`);
});

t.test('counts, shares, speeds and times read as people say them', async (t) => {
  t.equal(count(1_234_567), '1\u202f234\u202f567');
  t.equal(count(null), nothing);
  t.equal(compact(9999), '9\u202f999');
  t.equal(compact(46_879), '46.9 k');
  t.equal(compact(1_250_000), '1.3 M');
  t.equal(percent(0.04), '<0.1 %');
  t.equal(percent(2.84), '2.8 %');
  t.equal(percent(95.9), '96 %');
  t.equal(percent(null), nothing);
  t.equal(speed(100), '100 Mbit/s');
  t.equal(speed(2500), '2.5 Gbit/s');
  t.equal(speed(null), 'speed not known');
  t.equal(ago(12_300), '12 s');
  t.equal(ago(-5), '0 s');
  t.equal(ago(180_000), '3 min');
  t.equal(ago(7_200_000), '2 h');
  t.equal(some(1, 'server'), '1 server');
  t.equal(some(0, 'server'), '0 servers');
});

t.test('a rate never reads as more digits than there is room for', async (t) => {
  holds(
    t,
    'at most 7 letters up to 100 Gbit/s',
    fc.property(fc.double({ min: 0, max: 100_000, noNaN: true }), (value) => mbit(value).length <= 7),
    1000,
  );
  holds(
    t,
    'a larger rate never reads as a smaller one',
    fc.property(
      fc.double({ min: 0.001, max: 9999, noNaN: true }),
      fc.double({ min: 1, max: 2, noNaN: true }),
      (a, times) => {
        const read = (text: string) => Number(text.replaceAll('\u202f', ''));
        return read(mbit(a * times)) >= read(mbit(a));
      },
    ),
    1000,
  );
});

t.test('a long name keeps its end', async (t) => {
  t.equal(shortName('rs1', 5), 'rs1');
  t.equal(shortName('web-frontend-001', 6), '…d-001');
  holds(
    t,
    'no longer than asked, and the end is the end of the name',
    fc.property(fc.string({ minLength: 1, maxLength: 63 }), fc.integer({ min: 2, max: 80 }), (name, most) => {
      const short = shortName(name, most);
      return short.length <= most && name.endsWith(short.replace('…', ''));
    }),
  );
});
