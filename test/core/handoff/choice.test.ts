import fc from 'fast-check';
import t from 'tap';
import { chooseServer, leastConnections } from '../../../src/core/handoff/choice.ts';
import { holds } from '../../property.ts';

const serversArb = fc
  .array(fc.nat(3), { maxLength: 6 })
  .map((weights) => weights.map((weight, i) => ({ name: `rs${i}`, weight })));
const chanceArb = fc.double({ min: 0, max: 1, maxExcluded: true, noNaN: true });
const affinityArb = fc.constantFrom('none' as const, 'url-hash' as const);

holds(
  t,
  'somebody with a weight is chosen exactly when there is somebody',
  fc.property(serversArb, affinityArb, fc.string(), chanceArb, (servers, affinity, path, chance) => {
    const chosen = chooseServer(servers, affinity, path, chance);
    return chosen ? chosen.weight > 0 : servers.every(({ weight }) => weight === 0);
  }),
);

holds(
  t,
  'by hash a path has one home, whatever the chance, until that one goes',
  fc.property(serversArb, fc.string(), chanceArb, chanceArb, (servers, path, a, b) => {
    const home = chooseServer(servers, 'url-hash', path, a);
    if (home !== chooseServer(servers, 'url-hash', path, b)) return false;
    const others = servers.map((one) =>
      one === home || chooseServer(servers, 'url-hash', path, a) === one ? one : { ...one, weight: 0 },
    );
    return chooseServer(others, 'url-hash', path, a)?.name === home?.name;
  }),
);

t.test('by weight each gets its share', async (t) => {
  const servers = [
    { name: 'a', weight: 1 },
    { name: 'none', weight: 0 },
    { name: 'b', weight: 3 },
  ];
  const counts = new Map<string, number>();
  for (let i = 0; i < 400; i++) {
    const name = chooseServer(servers, 'none', '/', i / 400)?.name ?? '';
    counts.set(name, (counts.get(name) ?? 0) + 1);
  }
  t.same(
    [...counts],
    [
      ['a', 100],
      ['b', 300],
    ],
  );
});

holds(
  t,
  'given one after the other to who has least, each has as many as its weight says, give or take one',
  fc.property(serversArb, fc.nat(60), chanceArb, (servers, count, chance) => {
    const has = new Map(servers.map(({ name }) => [name, 0]));
    for (let i = 0; i < count; i++) {
      const server = chooseServer(
        leastConnections(servers, ({ name }) => has.get(name) ?? 0),
        'none',
        '/',
        chance,
      );
      if (server) has.set(server.name, (has.get(server.name) ?? 0) + 1);
    }
    const weights = servers.reduce((sum, { weight }) => sum + weight, 0);
    return servers.every(({ name, weight }) => {
      const due = weights === 0 ? 0 : (count * weight) / weights;
      const is = has.get(name) ?? 0;
      return weight === 0 ? is === 0 : Math.abs(is - due) <= servers.length;
    });
  }),
);
