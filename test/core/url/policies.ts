import fc from 'fast-check';
import { poolSchema } from '../../../src/schema.ts';
import type { UrlPolicy } from '../../../src/url-schema.ts';

const targets = fc.constantFrom('real-servers' as const, 'director' as const);
const match = fc
  .record(
    {
      methods: fc.subarray(['GET', 'HEAD', 'POST', 'PUT'], { minLength: 1 }),
      extensions: fc.subarray(['jpg', 'JPEG', 'png', 'php', 'c'], { minLength: 1 }),
      pathPrefix: fc.constantFrom('/', '/img/', '/img', '/a', '/img/a/', '/B.', '/x(y'),
      host: fc.constantFrom('example.com', 'Other.example', '127.0.0.1', 'a_b'),
    },
    { requiredKeys: [] },
  )
  .filter((match) => Object.keys(match).length > 0);

/** As a user may write it. */
export const rulesArb = fc.record({
  rules: fc.array(fc.record({ match, to: targets }), { minLength: 1, maxLength: 5 }),
  otherwise: targets,
});

/** Parsed, with the engine "edge". */
export const policyArb: fc.Arbitrary<UrlPolicy> = rulesArb.map((rules) => {
  const port = { policy: 'url', ...rules, edge: { origin: '192.0.2.10:8080' } };
  return poolSchema.parse({ vip: '192.0.2.100', ports: { '80/tcp': port } }).ports['80/tcp'] as UrlPolicy;
});

/** The same one, but all goes to one side; beside the drawn ones, so that some goes there whatever is drawn. */
export const toAll = (policy: UrlPolicy, otherwise: UrlPolicy['otherwise']): UrlPolicy => ({
  ...policy,
  rules: [],
  otherwise,
});
