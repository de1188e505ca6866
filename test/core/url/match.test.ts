import fc from 'fast-check';
import t from 'tap';
import { type Asked, extensionOf, matchUrl } from '../../../src/core/url/match.ts';
import type { UrlMatch } from '../../../src/url-schema.ts';
import { holds } from '../../property.ts';
import { policyArb } from './policies.ts';

const askedArb: fc.Arbitrary<Asked> = fc.record({
  method: fc.constantFrom('GET', 'HEAD', 'POST', 'DELETE'),
  path: fc
    .array(fc.constantFrom('/img', '/a', '/B.', '.jpg', '.JPG', '.png', '.c', '.', '/', 'x(y'), { maxLength: 5 })
    .map((parts) => `/${parts.join('')}`.replace(/\/+/g, '/')),
  host: fc.constantFrom('example.com', 'other.example', 'a_b', undefined),
});

/** The same said in another way: by regular expressions. */
function isMatch({ methods, extensions, pathPrefix, host }: UrlMatch, asked: Asked): boolean {
  const escaped = (text: string) => text.replace(/[^A-Za-z0-9]/g, '\\$&');
  return (
    new RegExp(`^(${methods?.join('|') ?? '.*'})$`).test(asked.method) &&
    (!extensions || new RegExp(`\\.(${extensions.join('|')})$`, 'i').test(asked.path)) &&
    new RegExp(`^${escaped(pathPrefix ?? '')}`).test(asked.path) &&
    (host === undefined || host === asked.host)
  );
}

holds(
  t,
  'the first rule that matches decides; without one "otherwise" does',
  fc.property(policyArb, askedArb, (policy, asked) => {
    const { to, rule } = matchUrl(policy, asked);
    const first = policy.rules.findIndex(({ match }) => isMatch(match, asked));
    return first === -1
      ? rule === undefined && to === policy.otherwise
      : rule === first && to === policy.rules[first]?.to;
  }),
  3000,
);

holds(
  t,
  'an extension is what follows the last dot of the last part',
  fc.property(fc.array(fc.constantFrom('/', '.', 'a', 'B')), (parts) => {
    const path = `/${parts.join('')}`;
    return extensionOf(path) === /\.([^./]*)$/.exec(path)?.[1]?.toLowerCase();
  }),
);

t.test('why is told in words', async (t) => {
  const rules = [
    { match: { methods: ['GET', 'HEAD'], extensions: ['jpg', 'png'] }, to: 'real-servers' as const },
    { match: { pathPrefix: '/api/', host: 'example.com' }, to: 'real-servers' as const },
  ];
  const why = (method: string, path: string, host?: string) =>
    matchUrl({ rules, otherwise: 'director' }, { method, path, host }).why;
  t.equal(why('GET', '/a.JPG'), 'rule 1 matches (GET, HEAD; .jpg, .png)');
  t.equal(why('GET', '/api/a', 'example.com'), 'rule 2 matches (/api/; example.com)');
  t.equal(
    why('POST', '/a.jpg'),
    'no rule matches (rule 1: its method is POST; rule 2: its path does not begin with /api/)',
  );
  t.equal(why('GET', '/api/a.php', 'x'), 'no rule matches (rule 1: its extension is php; rule 2: its host is x)');
  t.equal(why('GET', '/api/a'), 'no rule matches (rule 1: it has no extension; rule 2: it names no host)');
});
