import fc from 'fast-check';
import t from 'tap';
import { createParser, type Message } from '../../../src/web/live/sse.ts';
import { holds } from '../../property.ts';

const read = (...chunks: string[]): Message[] => {
  const parse = createParser();
  return chunks.flatMap((chunk) => parse(chunk));
};

t.test('events of any type, with ids, several lines and comments', async (t) => {
  t.strictSame(read('retry: 1000\n\n: still here\n\nid: 7\nevent: drained\ndata: {"a":1}\n\n'), [
    { id: '7', event: 'drained', data: '{"a":1}' },
  ]);
  t.strictSame(read('data: a\ndata:b\ndata\n\n'), [{ id: '', event: 'message', data: 'a\nb\n' }]);
  t.strictSame(read('id: 7\r\ndata: a\r\n\r\ndata: b\r\n\r\n'), [
    { id: '7', event: 'message', data: 'a' },
    { id: '7', event: 'message', data: 'b' },
  ]);
  t.strictSame(
    read('event: x\n\ndata: a\n\n'),
    [{ id: '', event: 'message', data: 'a' }],
    'an event without data is none',
  );
  t.strictSame(read('data: half'), [], 'what is not whole is not told');
});

t.test('wherever the stream is cut', async (t) => {
  const message = fc.record({
    id: fc.stringMatching(/^[1-9]\d{0,5}$/),
    event: fc.stringMatching(/^[a-z-]{1,12}$/),
    data: fc.json(),
  });
  holds(
    t,
    'the same events come out',
    fc.property(
      fc.array(message, { maxLength: 8 }),
      fc.array(fc.nat(400), { maxLength: 10 }),
      fc.boolean(),
      (messages, cuts, crlf) => {
        const text = messages
          .map(({ id, event, data }) => `id: ${id}\nevent: ${event}\ndata: ${data}\n\n`)
          .join('')
          .replaceAll('\n', crlf ? '\r\n' : '\n');
        const at = [0, ...cuts.filter((cut) => cut < text.length).sort((a, b) => a - b), text.length];
        const chunks = at.slice(1).map((end, i) => text.slice(at[i], end));
        return JSON.stringify(read(...chunks)) === JSON.stringify(messages);
      },
    ),
    500,
  );
});
