import fc from 'fast-check';
import t from 'tap';
import { ok, quote, tidy } from '../../../src/check/kinds/outcomes.ts';
import { holds } from '../../property.ts';

const text = fc.oneof(fc.string({ unit: 'binary', maxLength: 400 }), fc.string({ maxLength: 400 }));

t.test('foreign text is shown as it is where that is harmless', async (t) => {
  t.equal(quote('200 Grüße, 世界!'), '"200 Grüße, 世界!"');
  t.equal(
    quote('a"b\\c\r\n\t\u0000\u009b\u2028\u202e\ud800'),
    '"a\\"b\\\\c\\r\\n\\t\\x00\\x9b\\u{2028}\\u{202e}\\u{d800}"',
  );
  t.equal(quote('abcdef', 3), '"abc…"');
});

holds(
  t,
  'quoted text is of one line, and two texts that differ are quoted differently',
  fc.property(text, text, (one, other) => {
    const quoted = quote(one, 400);
    return !/[\p{C}\p{Zl}\p{Zp}]/u.test(quoted) && (one === other) === (quoted === quote(other, 400));
  }),
  1000,
);

holds(
  t,
  'tidy words are short, of one line, and stay as they are when tidied again',
  fc.property(text, (words) => {
    const tidied = tidy(ok(words));
    return tidied.words.length <= 200 && !/\p{C}/u.test(tidied.words) && tidy(tidied) === tidied;
  }),
  1000,
);
