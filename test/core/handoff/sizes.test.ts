import t from 'tap';
import { createSizes } from '../../../src/core/handoff/sizes.ts';

t.test('a path that was seen is expected to be as large as it was last', async (t) => {
  const sizes = createSizes();
  t.equal(sizes.expected('/a.jpg'), undefined);
  sizes.saw('/a.jpg', 100);
  sizes.saw('/a.jpg', 200);
  t.equal(sizes.expected('/a.jpg'), 200);
});

t.test('another is expected to be as large as those with its extension, on average', async (t) => {
  const sizes = createSizes();
  for (let i = 0; i < 200; i++) sizes.saw(`/${i}.jpg`, i % 2 === 0 ? 1000 : 3000);
  sizes.saw('/none', 7);
  const expected = sizes.expected('/new.JPG') ?? 0;
  t.ok(expected > 1500 && expected < 2500, `${expected}`);
  t.equal(sizes.expected('/other'), 7, 'without an extension');
  t.equal(sizes.expected('/new.png'), undefined);
});

t.test('it remembers no more than it may, and forgets what was seen longest ago', async (t) => {
  const sizes = createSizes(2);
  sizes.saw('/a', 1);
  sizes.saw('/b', 2);
  sizes.saw('/a', 1);
  sizes.saw('/c', 3);
  t.equal(sizes.expected('/a'), 1);
  t.equal(sizes.expected('/c'), 3);
  t.not(sizes.expected('/b'), 2);
});
