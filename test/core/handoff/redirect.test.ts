import fc from 'fast-check';
import t from 'tap';
import { locationOf } from '../../../src/core/handoff/redirect.ts';
import { parseHead, type RequestHead } from '../../../src/core/url/request.ts';
import { holds } from '../../property.ts';

const headOf = (target: string, host = 'www.example.com') =>
  parseHead(Buffer.from(`GET ${target} HTTP/1.1\r\nHost: ${host}\r\n\r\n`, 'latin1')) as RequestHead;

t.test('path and query go along as they are', async (t) => {
  t.equal(
    locationOf(headOf('/a%20b//c.jpg?x=%41&y'), 'img1.example.com'),
    'http://img1.example.com/a%20b//c.jpg?x=%41&y',
  );
  t.equal(
    locationOf(headOf('http://www.example.com/a.jpg?q'), 'img1.example.com:8080'),
    'http://img1.example.com:8080/a.jpg?q',
  );
  t.equal(locationOf(headOf('http://www.example.com?q'), 'img1.example.com'), 'http://img1.example.com/?q');
});

t.test('who has come to that host already is not sent there again', async (t) => {
  for (const host of ['img1.example.com', 'IMG1.example.com', 'img1.example.com:80', 'img1.example.com.'])
    t.equal(locationOf(headOf('/a.jpg', host), 'img1.example.com:8080'), undefined, host);
  t.equal(locationOf(headOf('/a.jpg', 'img1.example.com'), 'Img1.Example.com.'), undefined);
});

const pieceArb = fc.stringMatching(/^[A-Za-z0-9._~%/?&=:@!$'()*+,;-]{0,20}$/).map((text) => text.replace(/%/g, '%25'));

holds(
  t,
  'a client that follows asks that host for the same target',
  fc.property(pieceArb, (piece) => {
    const head = headOf(`/${piece}`);
    if (head.kind !== 'request') return true;
    const location = locationOf(head, 'img1.example.com') ?? '';
    return location === `http://img1.example.com/${piece}` && headOf(location, 'img1.example.com').path === head.path;
  }),
);
