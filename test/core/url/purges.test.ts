import fc from 'fast-check';
import t from 'tap';
import { noPurges, type Purges, purged } from '../../../src/core/url/purges.ts';
import { holds } from '../../property.ts';

/** As the map in nginx's configuration reads it: the first that fits. */
const generationOf = ({ generation, paths }: Purges, asked: string) =>
  paths.find(({ path }) => asked === path || (path.endsWith('/') && asked.startsWith(path)))?.generation ?? generation;

const pathArb = fc.constantFrom('/', '/a', '/a/', '/a/b', '/a/b/', '/c.jpg', undefined);
const asked = ['/a', '/a/x', '/a/b', '/a/b/c', '/c.jpg', '/d'];

holds(
  t,
  'a path has the generation of the last purge that covers it',
  fc.property(fc.array(pathArb), (paths) => {
    let purges = noPurges;
    const last = new Map<string, number>();
    for (const [i, path] of paths.entries()) {
      purges = purged(purges, path, i + 1);
      for (const one of asked)
        if (path === undefined || one === path || (path.endsWith('/') && one.startsWith(path))) last.set(one, i + 1);
    }
    return asked.every((one) => generationOf(purges, one) === (last.get(one) ?? 0));
  }),
);

t.test('when there are too many, all of it is purged', async (t) => {
  let purges = noPurges;
  for (let i = 1; i <= 101; i++) purges = purged(purges, `/${i}`, i);
  t.strictSame(purges, { generation: 101, paths: [] });
});
