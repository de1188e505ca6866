import t from 'tap';
import { nextBalances } from '../../src/core/balance.ts';
import type { HeadroomCard } from '../../src/core/headroom.ts';
import { type Services, serviceId, serviceKey } from '../../src/core/kernel-state.ts';
import { tenureKey } from '../../src/core/standings.ts';
import { poolsSchema } from '../../src/schema.ts';

const vip = '192.0.2.100';
const pools = (more: object = {}) =>
  poolsSchema.parse({
    web: {
      vip,
      balance: 'headroom',
      ports: { '80/tcp': { policy: 'real-servers' }, '8080/tcp': { policy: 'director' } },
      realServers: { rs1: { address: '192.0.2.11' }, director: { address: '192.0.2.1' }, out: { address: '192.0.2.13', weight: 0 } },
      ...more,
    },
    other: { vip: '192.0.2.101', ports: { '80/tcp': { policy: 'real-servers' } }, realServers: {} },
  }); // biome-ignore format: short
const card = (txMbit: number): HeadroomCard => ({ speedMbit: 100, txMbit, lostShare: 0, ageMs: 0 });
const now = 1_000_000;
const facts = {
  cards: new Map([['rs1', card(50)]]),
  ownCard: card(80),
  speeds: new Map<string, number>(),
  standings: undefined,
  localAddresses: new Set(['192.0.2.1']),
  services: new Map() as Services,
  tenures: new Map([['192.0.2.11', 0], ['192.0.2.1', 0]].map(([address, at]) => [tenureKey(vip, '80/tcp', String(address)), Number(at)])), // biome-ignore format: short
  now,
  steadyNow: 0,
};

t.test('only pools that ask for it are balanced by headroom, and only members that may serve', async (t) => {
  const balances = nextBalances(new Map(), pools(), facts);
  t.strictSame([...balances.keys()], ['web']);
  t.strictSame([...(balances.get('web')?.weights.keys() ?? [])], ['rs1', 'director']);
});

t.test('the director, where it is a real server too, goes by its own card: what PHP leaves of it', async (t) => {
  let balances = nextBalances(new Map(), pools(), facts);
  for (let second = 1; second < 10; second++)
    balances = nextBalances(balances, pools(), { ...facts, steadyNow: second * 1000 });
  const weights = balances.get('web')?.weights;
  t.ok((weights?.get('director') ?? 0) < (weights?.get('rs1') ?? 0));
  t.equal(balances.get('web')?.loads.get('director'), 0.8);
});

t.test('the weights of the kernel are where a start begins', async (t) => {
  const id = serviceId(vip, '80/tcp');
  const destination = (address: string, weight: number) => ({
    address,
    port: 80,
    method: 'gatewaying' as const,
    weight,
    upperThreshold: 0,
    lowerThreshold: 0,
    connections: { active: 0, inactive: 0, persistent: 0 },
  });
  const config = {
    scheduler: 'sed',
    schedulerBits: [],
    persistenceSeconds: 0,
    persistencePrefix: 32,
    onePacket: false,
  };
  const service = { id, config, destinations: [destination('192.0.2.11', 1000), destination('192.0.2.1', 500)] };
  const services = new Map([[serviceKey(id), service]]) as unknown as Services;
  const balances = nextBalances(new Map(), pools(), { ...facts, services, cards: new Map(), ownCard: undefined });
  const weights = balances.get('web')?.weights;
  t.equal(Math.round((1000 * (weights?.get('director') ?? 0)) / (weights?.get('rs1') ?? 1)), 500);
});

t.test('who has come in lately, or begins slowly, is not judged yet', async (t) => {
  const since = (ms: number) => new Map([...facts.tenures].map(([key]) => [key, now - ms]));
  for (const [slowStartMs, ms, judged] of [[0, 7000, false], [0, 9000, true], [20_000, 9000, false]] as const) {
    let balances = nextBalances(new Map(), pools({ slowStartMs }), facts);
    for (let second = 1; second < 9; second++)
      balances = nextBalances(balances, pools({ slowStartMs }), { ...facts, tenures: since(ms), steadyNow: second * 1000 });
    const { weights } = balances.get('web') ?? {};
    t.equal(weights?.get('rs1') !== weights?.get('director'), judged, `${slowStartMs} ${ms}`);
  }
}); // biome-ignore format: short

t.test('who fails and is held in is not judged: its card is empty because it fails', async (t) => {
  const held = { weight: 100, serving: true, well: false, isHeldIn: true as const, reason: '' };
  const standings = new Map([
    [
      'web',
      {
        ports: new Map([['80/tcp', { members: new Map([['rs1', held]]), notice: undefined, directorAnswers: false }]]),
        realServers: new Map(),
      },
    ],
  ]);
  let balances = nextBalances(new Map(), pools(), { ...facts, standings });
  for (let second = 1; second < 9; second++)
    balances = nextBalances(balances, pools(), { ...facts, standings, steadyNow: second * 1000 });
  t.strictSame(Object.fromEntries(balances.get('web')?.weights ?? []), { rs1: 1000, director: 1000 });
});

t.test('the speed of a silent card is the last that was known', async (t) => {
  const ownCard = { ...card(50), speedMbit: 1000 };
  const silent = { ...facts, ownCard, cards: new Map(), speeds: new Map([['rs1', 100]]) };
  const { weights } = nextBalances(new Map(), pools(), silent).get('web') ?? {};
  t.strictSame(Object.fromEntries(weights ?? []), { rs1: 100, director: 1000 });
});
