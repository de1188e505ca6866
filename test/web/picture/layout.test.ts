import fc from 'fast-check';
import t from 'tap';
import { type Box, type Flows, type Layout, layoutOf, mostRows, sum } from '../../../src/web/picture/layout.ts';
import { holds } from '../../property.ts';

const rate = fc.option(fc.double({ min: 0, max: 2000, noNaN: true }), { nil: null });
const flowsOf = (most: number): fc.Arbitrary<Flows> =>
  fc.record({
    requests: rate,
    servers: fc
      .array(fc.record({ rx: rate, tx: rate }), { maxLength: most })
      .map((servers) => servers.map((server, i) => ({ name: `rs${i}`, ...server }))),
  });
const width = fc.integer({ min: 320, max: 2600 });
const full = fc.double({ min: 1, max: 3000, noNaN: true });

const inside = (box: Box, { width, height }: Layout) =>
  box.x >= -0.01 && box.y >= -0.01 && box.x + box.width <= width + 0.01 && box.y + box.height <= height + 0.01;
const apart = (a: Box, b: Box) =>
  a.x + a.width <= b.x + 0.01 ||
  b.x + b.width <= a.x + 0.01 ||
  a.y + a.height <= b.y + 0.01 ||
  b.y + b.height <= a.y + 0.01;

const boxesOf = (layout: Layout) => [layout.clients, layout.director, ...layout.places];

t.test('the picture of any site, at any width', async (t) => {
  holds(
    t,
    'everything is inside, nothing lies upon another, no line is out of sight or a place without a size',
    fc.property(flowsOf(40), width, full, (flows, width, full) => {
      const layout = layoutOf(flows, width, full);
      const boxes = boxesOf(layout);
      const ok =
        boxes.every((box) => inside(box, layout) && box.width > 20 && box.height > 20) &&
        boxes.every((a, i) => boxes.slice(i + 1).every((b) => apart(a, b)));
      const points = layout.ribbons.flatMap(({ path }) => [...path.matchAll(/(-?[\d.]+) (-?[\d.]+)/g)]);
      const seen = points.every(
        ([, x, y]) => Number(x) >= -1 && Number(x) <= width + 1 && Number(y) >= -1 && Number(y) <= layout.height + 1,
      );
      return (
        ok && seen && layout.width === width && layout.ribbons.every(({ path }) => !/NaN|Infinity|undefined/.test(path))
      );
    }),
    400,
  );
  holds(
    t,
    'every real server has one place, and its ribbons when there are few',
    fc.property(flowsOf(300), width, full, (flows, width, full) => {
      const { places, ribbons, many } = layoutOf(flows, width, full);
      const ids = ribbons.map(({ id }) => id);
      const wanted = many ? ['all'] : flows.servers.map(({ name }) => name);
      return (
        many === flows.servers.length > mostRows &&
        places.map(({ name }) => name).join() === flows.servers.map(({ name }) => name).join() &&
        ids.join() === ['requests', ...wanted.flatMap((name) => [`to ${name}`, `from ${name}`])].join()
      );
    }),
    200,
  );
  holds(
    t,
    'the width of a ribbon grows with its rate, and a line is never too thin to be seen',
    fc.property(flowsOf(mostRows), width, full, (flows, width, full) => {
      const replies = layoutOf(flows, width, full).ribbons.filter(({ way }) => way === 'reply');
      return replies.every((a) =>
        replies.every((b) => a.width >= 1.5 && ((a.mbit ?? 0) <= (b.mbit ?? 0) ? a.width <= b.width : true)),
      );
    }),
  );
  holds(
    t,
    'rates move no place: only the servers and the width do',
    fc.property(flowsOf(30), width, full, full, (flows, width, one, other) => {
      const still = { ...flows, servers: flows.servers.map(({ name }) => ({ name, rx: null, tx: null })) };
      return (
        JSON.stringify(boxesOf(layoutOf(flows, width, one))) === JSON.stringify(boxesOf(layoutOf(still, width, other)))
      );
    }),
  );
});

t.test('on a narrow screen the picture goes from top to bottom', async (t) => {
  const flows = { requests: 2, servers: [{ name: 'rs1', rx: 1, tx: 40 }] };
  const tall = layoutOf(flows, 328, 100);
  t.equal(tall.shape, 'tall');
  t.ok(tall.director.y > tall.clients.y + tall.clients.height);
  t.ok((tall.places[0]?.y ?? 0) > tall.director.y + tall.director.height);
  const wide = layoutOf(flows, 1200, 100);
  t.equal(wide.shape, 'wide');
  t.ok(wide.director.x > wide.clients.x + wide.clients.width);
  t.ok((wide.places[0]?.x ?? 0) > wide.director.x + wide.director.width);
});

t.test('200 real servers fit on a wall screen', async (t) => {
  const servers = Array.from({ length: 200 }, (_, i) => ({ name: `rs${i}`, rx: 1, tx: 50 }));
  t.ok(layoutOf({ requests: 1, servers }, 1400, 15_000).height < 900);
});

t.test('a sum of what is known', async (t) => {
  t.equal(sum([null, null]), null);
  t.equal(sum([]), null);
  t.equal(sum([1, null, 2.5]), 3.5);
});
