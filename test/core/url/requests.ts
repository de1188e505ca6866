// Requests, good and bad, as bytes: what clients, attackers and broken programs send.
import fc from 'fast-check';

const pieces = [
  '/', '/', '/', 'a', 'b', 'img', '.jpg', '.jpg', '.JPG', '.jpeg', '.php', '.', '..', '%2e', '%2E%2e', '%2f', '%2F', '//', '/./',
  '/../', '%00', '%0a', '%', '%zz', '%2', '%25', '%252e', '%20', ' ', '\t', ';', '\\', '%5c', '?', '?x=/b.jpg', '&', '%3f', '%23',
  '#', '%6a%70g', '%C3%A9', '\xe9', '+', '~', ':', '@', '%7f', '\x7f', '|', '"', '%2ejpg', 'jpg', '_', '$uri', '*', 'x'.repeat(300),
] as const; // biome-ignore format: a list

const path = fc
  .array(fc.constantFrom(...pieces), { maxLength: 8 })
  .map((parts) => parts.join(''))
  .map((text) => (text.startsWith('/') ? text : `/${text}`));

/** Paths that most clients send. */
const usualPath = fc
  .tuple(
    fc.array(fc.constantFrom('img', 'img', 'a', 'thumbs', '..', '.', '%2e%2e', 'B', ''), { maxLength: 3 }),
    fc.constantFrom('a', 'a', 'b.c', 'x%20y', '%61', ''),
    fc.constantFrom(
      '.jpg',
      '.JPG',
      '.png',
      '.php',
      '.jpg.php',
      '.php.jpg',
      '.j%70g',
      '%2ejpg',
      '',
      '.',
      '.jpg/',
      '.jpg/..',
    ),
    fc.constantFrom('', '?a=b', '?x=.jpg', '?', '/../x'),
  )
  .map(([folders, name, extension, rest]) => `/${[...folders, name].join('/')}${extension}${rest}`);

const hosts = [
  'example.com', 'example.com', 'Example.COM', 'example.com.', 'example.com:80', 'example.com:', 'example.com:x', 'other.example',
  '', '_', '[::1]', '[::1]:80', 'a..b', '.example.com', 'user@example.com', 'ex ample.com', 'example.com/', '127.0.0.1', 'a_b', '-', '*',
] as const; // biome-ignore format: a list
const host = fc.constantFrom(...hosts);

const target = fc.oneof(
  { weight: 6, arbitrary: usualPath },
  { weight: 6, arbitrary: path },
  { weight: 2, arbitrary: fc.tuple(fc.constantFrom('http', 'HTTP', 'https'), host, fc.oneof(path, fc.constant(''), fc.constant('?x'))).map(([scheme, to, rest]) => `${scheme}://${to}${rest}`) },
  { weight: 1, arbitrary: fc.constantFrom('*', '', 'example.com:80', 'a.jpg', 'ftp://example.com/a.jpg', '//example.com/a.jpg', '/x'.repeat(4100)) },
); // biome-ignore format: wide

const method = fc.oneof(
  { weight: 8, arbitrary: fc.constantFrom('GET', 'HEAD', 'POST') },
  { weight: 1, arbitrary: fc.constantFrom('PUT', 'DELETE', 'OPTIONS', 'get', 'GE T', '', 'G\x00T', 'FOO', 'G-T', 'CONNECT', 'TRACE') },
); // biome-ignore format: wide
const version = fc.oneof(
  { weight: 9, arbitrary: fc.constantFrom('HTTP/1.1', 'HTTP/1.0') },
  { weight: 1, arbitrary: fc.constantFrom('HTTP/1.2', 'HTTP/2.0', 'HTTP/0.9', 'http/1.1', 'HTTP/1.1 ', '', 'HTTP/11.1') },
); // biome-ignore format: wide

const fields = fc.array(
  fc.constantFrom(
    'Accept: */*', 'User-Agent: x\xe9', 'Content-Length: 0', 'Content-Length: 3', 'Content-Length: 3, 3', 'Content-Length: +3', 'content-length: 3',
    'Transfer-Encoding: chunked', 'Transfer-Encoding: Chunked', 'Transfer-Encoding: gzip', 'Transfer-Encoding : chunked', ' folded', '\tfolded',
    'Host : b', 'Host: example.com', 'X: \x00', 'X: a\rb', 'X', ': x', 'X Y: z', 'X_Y: z', `Long: ${'y'.repeat(9000)}`, 'X:', 'X:\t z \t',
  ),
  { maxLength: 2 },
); // biome-ignore format: a list

const breaks = fc.oneof(
  { weight: 12, arbitrary: fc.constant('\r\n') },
  { weight: 1, arbitrary: fc.constantFrom('\n', '\r', '\r\r\n') },
);

/** Heads of which most servers would take most. */
const goodHead = fc
  .record({
    method: fc.constantFrom('GET', 'GET', 'HEAD', 'POST', 'PUT'),
    target: usualPath,
    version: fc.constantFrom('HTTP/1.1', 'HTTP/1.0'),
    host: fc.constantFrom('example.com', 'EXAMPLE.com.', 'other.example:80', 'a_b', '127.0.0.1', '[::1]:81', '_'),
    more: fc.constantFrom('', 'Accept: */*\r\n', 'X_Y: z\r\n', 'X:\t z \t\r\n', 'Content-Length: 3\r\n'),
  })
  .map(({ method, target, version, host, more }) => `${method} ${target} ${version}\r\nHost: ${host}\r\n${more}\r\n`);

const wildHead = fc
  .record({
    before: fc.oneof({ weight: 12, arbitrary: fc.constant('') }, { weight: 1, arbitrary: fc.constantFrom('\r\n', '\r\n\r\n', '\n', ' ') }),
    method,
    target,
    version,
    host: fc.option(host, { freq: 8 }),
    fields: fc.oneof({ weight: 3, arbitrary: fc.constant([]) }, { weight: 1, arbitrary: fields }),
    end: breaks,
    blank: fc.oneof({ weight: 15, arbitrary: fc.constant(' ') }, { weight: 1, arbitrary: fc.constantFrom('  ', '\t') }),
  })
  .map(({ before, method, target, version, host, fields, end, blank }) => {
    const lines = [`${method}${blank}${target}${blank}${version}`, ...(host === null ? [] : [`Host: ${host}`]), ...fields];
    return `${before}${lines.map((line) => line + end).join('')}${end}`;
  }); // biome-ignore format: wide

export const headArb: fc.Arbitrary<string> = fc.oneof(goodHead, wildHead);
