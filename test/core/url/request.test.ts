import { posix } from 'node:path';
import fc from 'fast-check';
import t from 'tap';
import { headerOf } from '../../../src/core/url/fields.ts';
import { headLimit, lineLimit, parseHead } from '../../../src/core/url/request.ts';
import { holds } from '../../property.ts';
import { headArb } from './requests.ts';

const parse = (text: string) => parseHead(Buffer.from(text, 'latin1'));
const refusal = (text: string) => {
  const head = parse(text);
  return head.kind === 'bad' ? `${head.status} ${head.reason}` : head.kind;
};
const get = (target: string, fields = 'Host: example.com\r\n') => `GET ${target} HTTP/1.1\r\n${fields}\r\n`;
const pathOf = (target: string) => {
  const head = parse(get(target));
  return head.kind === 'request' ? head.path : undefined;
};

t.test('all of a head is told', async (t) => {
  t.strictSame(
    parse('\r\nPOST http://Example.com:80/a/%2e/b?x=%2F HTTP/1.1\r\nHOST:example.com.\t\r\nContent-Length: 12\r\nX: \xe9 \r\n\r\nbody'),
    {
      kind: 'request',
      method: 'POST',
      target: 'http://Example.com:80/a/%2e/b?x=%2F',
      path: '/a/b',
      query: 'x=%2F',
      host: 'example.com',
      version: '1.1',
      headers: [['host', 'example.com.'], ['content-length', '12'], ['x', '\xe9']],
      body: 12,
      length: 102,
    },
  ); // biome-ignore format: short
  t.match(parse('GET / HTTP/1.0\r\n\r\n'), { host: undefined, query: undefined, version: '1.0', body: 0 });
  t.match(parse(get('/?', 'Host: [::1]:80\r\nTransfer-Encoding: Chunked\r\n')), {
    query: '',
    host: '[::1]',
    body: 'chunked',
  });
  t.equal(headerOf([['a', '1'], ['b', '2'], ['b', '3']], 'b'), '2'); // biome-ignore format: short
});

const byte = fc.integer({ min: 0x21, max: 0xff }).filter((code) => code !== 0x7f && code !== 0x2f);
const segment = fc.array(byte, { minLength: 1, maxLength: 6 }).map((codes) => String.fromCharCode(...codes));

holds(
  t,
  'a path comes back decoded, however its bytes were encoded',
  fc.property(fc.array(segment.filter((text) => !/^\.\.?$/.test(text)), { maxLength: 4 }), fc.infiniteStream(fc.nat(2)), (parts, ways) => {
    const path = `/${parts.join('/')}`;
    const encoded = [...path].map((char) => {
      const way = ways.next().value;
      const digits = char.charCodeAt(0).toString(16).padStart(2, '0');
      if (way === 0 && !'%?#'.includes(char)) return char;
      return `%${way === 1 ? digits.toUpperCase() : digits}`;
    });
    return encoded[0] !== '/' || pathOf(encoded.join('')) === path;
  }),
  1000,
); // biome-ignore format: wide

holds(
  t,
  'slashes are merged and dot segments removed as by path.posix.normalize, and none leads above the root',
  fc.property(fc.array(fc.constantFrom('/', '/', '.', '..', '%2e', '%2F', 'a', 'b.c')), (parts) => {
    const target = `/${parts.join('')}`;
    const decoded = decodeURIComponent(target);
    let depth = 0;
    const climbs = decoded.split('/').some((part) => {
      if (part === '..') depth--;
      else if (part !== '' && part !== '.') depth++;
      return depth < 0;
    });
    const wanted = posix.normalize(/\/\.\.?$/.test(decoded) ? `${decoded}/` : decoded);
    return pathOf(target) === (climbs ? undefined : wanted);
  }),
  1000,
);

holds(
  t,
  'what has come so far never says other than the whole, and what follows a head changes nothing',
  fc.property(headArb, fc.string(), fc.nat(), (text, more, cut) => {
    const bytes = Buffer.from(text, 'latin1');
    const whole = parseHead(bytes);
    const part = parseHead(bytes.subarray(0, cut % (bytes.length + 1)));
    const partAgrees = part.kind === 'incomplete' || JSON.stringify(part) === JSON.stringify(whole);
    const after = parseHead(Buffer.concat([bytes, Buffer.from(more)]));
    const afterAgrees = whole.kind === 'incomplete' || JSON.stringify(after) === JSON.stringify(whole);
    return partAgrees && afterAgrees;
  }),
  3000,
);

holds(
  t,
  'any bytes are a request, refused or incomplete, and a request has all of its head before its length',
  fc.property(fc.uint8Array({ maxLength: 300 }), (bytes) => {
    const head = parseHead(bytes);
    return (
      head.kind !== 'request' || Buffer.from(bytes.subarray(head.length - 4, head.length)).toString() === '\r\n\r\n'
    );
  }),
  2000,
);

t.test('whatever two servers could read differently is refused', async (t) => {
  const host = 'Host: a\r\n';
  for (const [text, wanted] of [
    ['GET / HTTP/1.1\nHost: a\n\n', /^400 .*LF alone/],
    ['GET / HTTP/1.1\r\nHost: a\rb\r\n\r\n', /^400 a CR without LF/],
    ['GET /\x00 HTTP/1.1\r\n', /^400 .*0x00/],
    ['GET / HTTP/1.1\r\nHost: a\x7f', /^400 .*0x7f/],
    ['\r\n\r\nGET', /^400 more than one empty line/],
    ['get / HTTP/1.1\r\n', /^400 a method/],
    ['GET /\r\n', /^400 a request line is/],
    ['GET / b HTTP/1.1\r\n', /^400 a request line is/],
    ['GET  / HTTP/1.1\r\n', /^400 a request line is/],
    ['GET / HTTP/1.2\r\n', /^505/],
    ['GET / http/1.1\r\n', /^400 .*does not end with a version/],
    [get('/\t'), /^400 a target with/],
    [get('/a#b'), /^400 a target with/],
    [get('*'), /^400 a target begins/],
    [get('example.com:80'), /^400 a target begins/],
    [get('ftp://example.com/'), /^400 a target begins/],
    [get('http:///a'), /^400 .*no name/],
    [get('http://u@example.com/'), /^400 .*no name/],
    [get('http://a_b/', 'Host: a_b\r\n'), /^400 .*no name/],
    [get('http://other/'), /^400 .*another host/],
    [get('/%'), /^400 a "%"/],
    [get('/%4'), /^400 a "%"/],
    [get('/%g0'), /^400 a "%"/],
    [get('/%00'), /^400 an encoded control/],
    [get('/%0a'), /^400 an encoded control/],
    [get('/%7F'), /^400 an encoded control/],
    [get('/a/../..'), /^400 a path that leads above/],
    [get('/', ''), /^400 HTTP\/1.1 without Host/],
    [get('/', 'Host:\r\n'), /^400 a Host is/],
    [get('/', 'Host: a b\r\n'), /^400 a Host is/],
    [get('/', 'Host: a..b\r\n'), /^400 a Host is/],
    [get('/', `${host}${host}`), /^400 more than one host/],
    [get('/', `${host}X : b\r\n`), /^400 .*without a blank/],
    [get('/', `${host}X\r\n`), /^400 .*a colon/],
    [get('/', `${host} b\r\n`), /^400 .*goes on/],
    [get('/', `${host}\tb\r\n`), /^400 .*goes on/],
    [get('/', `${host}Content-Length: 1, 1\r\n`), /^400 a Content-Length/],
    [get('/', `${host}Content-Length: -1\r\n`), /^400 a Content-Length/],
    [get('/', `${host}Content-Length: 1\r\ncontent-length: 1\r\n`), /^400 more than one content-length/],
    [get('/', `${host}Content-Length: 1\r\nTransfer-Encoding: chunked\r\n`), /^400 both/],
    [get('/', `${host}Transfer-Encoding: gzip, chunked\r\n`), /^501/],
    ['GET / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n', /^400 .*HTTP\/1.0/],
    [get('/', host + 'A: b\r\n'.repeat(100)), /^431 more than 100/],
  ] as const)
    t.match(refusal(text), wanted, JSON.stringify(text.slice(0, 80)));
});

t.test('what is too long is refused before it ends', async (t) => {
  const start = 'GET /';
  const fits = `${start}${'a'.repeat(lineLimit - start.length - ' HTTP/1.1'.length)}`;
  t.equal(refusal(`${fits} HTTP/1.1\r\nHost: a\r\n\r\n`), 'request');
  t.match(refusal(`${fits}a HTTP/1.1`), /^414/);
  t.match(refusal(`GET / HTTP/1.1\r\nX: ${'a'.repeat(lineLimit)}`), /^431 the header line/);
  const field = `X: ${'a'.repeat(lineLimit - 10)}\r\n`;
  t.match(
    refusal(`GET / HTTP/1.1\r\n${field}${field}${field}`),
    new RegExp(`^431 the head is longer than ${headLimit}`),
  );
  t.equal(refusal('GET / HTTP/1.1\r'), 'incomplete');
});
