import { mkdirSync, renameSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import t from 'tap';
import { poolsSchema } from '../../src/schema.ts';
import { openState } from '../../src/store/state.ts';
import { addressOn, createFakeKernel, snapshot } from '../fake-kernel.ts';
import { refused, up } from '../health.ts';
import { took } from '../took.ts';
import { ofIpvs, rs1, rs2, runningSite, type Site, startSite, vip, web, weights } from './site.ts';

t.test('a new pool is programmed, then its VIP is taken and announced', async (t) => {
  const site = startSite(t);
  site.report('rs1', rs1.address, vip);
  await site.put(web({ rs1 }));
  const last = await site.reconciled();
  t.equal(last.reconciledRevision, 1);
  const isOfWeight = (line: string) => line.startsWith('ipvsadm -e');
  const lines = site.lines().filter((line) => !isOfWeight(line));
  t.strictSame(lines, [
    ...ofIpvs('1'),
    'ipvsadm -A -t 192.0.2.100:80 -s wlc',
    'ipvsadm -a -t 192.0.2.100:80 -r 192.0.2.11:80 -g -w 0',
    'ip addr add 192.0.2.100/32 dev eth0',
    'arping -U -c 3 -I eth0 192.0.2.100',
  ]);
  await site.waitFor('the first good check', () => weights(site.kernel)[rs1.address] === 100);
  t.strictSame(site.told('drift'), [], 'what users ask for is no drift');
});

t.test(
  'a real server gets its weight with its agent’s report, and loses it with the next, which are events',

  async (t) => {
    const site = await runningSite(t);
    site.report('rs2', rs2.address);
    await site.waitFor('rs2 is out', () => weights(site.kernel)[rs2.address] === 0);
    t.strictSame(site.lines(), ['ipvsadm -e -t 192.0.2.100:80 -r 192.0.2.12:80 -g -w 0']);
    t.match(site.told('real-server-out').at(-1), /rs2 of web takes no new traffic: the agent on rs2 has not set up/);
    t.match(site.told('real-server-in'), [
      /rs1 of web takes traffic: in service: answered/,
      /rs2 of web takes traffic/,
    ]);
    t.strictSame(site.told('drift'), []);
  },
);

t.test('what somebody else changes is put right within a second, and is one event each', async (t) => {
  const site = await runningSite(t);
  const before = snapshot(site.kernel.world);
  const right = () => snapshot(site.kernel.world) === before;
  const changes: [string, RegExp, (world: typeof site.kernel.world) => void][] = [
    [
      'ipvsadm -C',
      /192\.0\.2\.100:80\/tcp had been changed by somebody else and was put right: ipvsadm -A/,
      (w) => w.services.clear(),
    ],
    ['ip addr del', /192\.0\.2\.100 had been changed .*ip addr add/, (w) => void w.addresses.pop()],
    [
      'ipvsadm -E',
      /ipvsadm -E -t 192\.0\.2\.100:80 -s wlc$/,
      (w) =>
        w.services.forEach((s) => {
          s.config.scheduler = 'rr';
        }),
    ],
    [
      'ipvsadm -e',
      /ipvsadm -e .* -w 100$/,
      (w) =>
        w.services.forEach((s) => {
          s.destinations[0]!.weight = 7;
        }),
    ],
    [
      'ipvsadm -d',
      /ipvsadm -a .*-r 192\.0\.2\.12:80/,
      (w) =>
        w.services.forEach((s) => {
          s.destinations.pop();
        }),
    ],
  ];
  for (const [i, [what, told, change]] of changes.entries()) {
    // Not with the watch: IPVS tells nobody of its changes.
    change(site.kernel.world);
    t.ok(
      (await took(() => site.waitFor(what, right))) < 1300,
      `${what} was put right within a second, and what a busy machine adds`,
    );
    t.equal(site.told('drift').length, i + 1, what);
    t.match(site.told('drift')[i], told);
  }
  await site.waitFor('a pass without a step', () => site.lines().length === 0);
  t.equal(site.told('drift').length, changes.length, 'and not told again');
});

t.test('what users change is no drift, though no weight changes with it', async (t) => {
  const site = await runningSite(t);
  await site.put(web(undefined, { ports: { '80/tcp': { policy: 'real-servers', scheduler: 'rr' } } }));
  await site.reconciled();
  t.strictSame(site.lines(), ['ipvsadm -E -t 192.0.2.100:80 -s rr']);
  t.strictSame(site.told('drift'), []);
});

t.test('a deleted VIP is taken again as soon as the kernel tells of it', async (t) => {
  const site = await runningSite(t);
  site.kernel.disturb((world) => world.addresses.pop());
  t.ok((await took(() => site.waitFor('the VIP is back', () => site.kernel.world.addresses.length === 3))) < 300);
});

t.test('what is not ours is left alone', async (t) => {
  const site = await runningSite(t);
  site.kernel.disturb((world) => {
    world.addresses.push(addressOn('eth0', '198.51.100.7'));
    const [service] = world.services.values();
    world.services.set('198.51.100.7:80/tcp', { ...service!, id: { vip: '198.51.100.7', port: 80, protocol: 'tcp' } });
  });
  await site.waitFor('a pass that saw it', ({ look }) => look.services.size === 2);
  t.strictSame(site.lines(), []);
  await site.put({});
  await site.reconciled();
  t.ok(site.kernel.world.services.has('198.51.100.7:80/tcp'));
  t.ok(site.kernel.world.addresses.some(({ address }) => address === '198.51.100.7'));
});

t.test(
  'a step that the kernel refuses is told once, with its command, and tried again until it is done',

  async (t) => {
    const site = await runningSite(t);
    site.kernel.refuse = (step) => (step.op === 'add-service' ? 'ENOENT' : undefined);
    await site.put(web({ rs1, rs2 }, { ports: { '443/tcp': { policy: 'real-servers' } } }));
    const last = await site.waitFor('the failure', ({ failures }) => failures.length > 0);
    t.match(last.failures, [{ code: 'ENOENT', step: { op: 'add-service' } }, { code: 'ESRCH' }, { code: 'ESRCH' }]);
    t.equal(last.reconciledRevision, last.revision - 1);
    const tries = () => site.kernel.applied.filter(({ op }) => op === 'add-service').length;
    const before = tries();
    await site.waitFor('it is tried again', () => tries() > before + 1);
    t.equal(site.told('step-refused').filter((words) => words.includes('ipvsadm -A')).length, 1);
    site.kernel.refuse = () => undefined;
    await site.reconciled();
    t.ok(site.kernel.world.services.has(`${vip}:443/tcp`));
  },
);

t.test('a kernel that cannot be read is shown as an error, and looked at again', async (t) => {
  const site = await runningSite(t);
  site.kernel.blind = 'EPERM';
  site.director.wake();
  while (!site.director.error()) await site.director.passed.next(1000);
  t.match(site.director.error(), { code: 'EPERM' });
  site.kernel.blind = undefined;
  await site.put(web({ rs1 }));
  await site.reconciled();
  t.equal(site.director.error(), undefined);
});

t.test('while what is owned cannot be written down, the kernel is not touched', async (t) => {
  const site = await runningSite(t);
  const file = join(site.folder, 'state.json');
  await site.put(web({ rs1, rs2 }, { vip: '192.0.2.101' }));
  await site.reconciled();
  await site.stop();
  const next = startSite(t, { ...site, kernel: createFakeKernel() });
  renameSync(file, `${file}.away`);
  mkdirSync(join(file, 'in the way'), { recursive: true });
  while (!next.director.error()) await next.director.passed.next(1000);
  t.match(next.director.error(), { code: 'STATE_NOT_SAVED' });
  t.strictSame(next.lines(), []);
  rmSync(file, { recursive: true });
  await next.reconciled();
  t.equal(next.kernel.world.services.size, 1);
});

t.test('a change that comes while steps are applied is not put off', async (t) => {
  const site = await runningSite(t);
  const { apply } = site.kernel;
  let put: Promise<void> | undefined;
  site.kernel.apply = async (steps) => {
    put ??= site.put(web({ rs1, rs2: { ...rs2, weight: 7 } }));
    await put;
    return apply(steps);
  };
  await site.put(web({ rs1: { ...rs1, weight: 5 }, rs2 }));
  await site.waitFor('the first', () => weights(site.kernel)[rs1.address] === 5);
  t.ok((await took(() => site.waitFor('the second', () => weights(site.kernel)[rs2.address] === 7))) < 200);
});

t.test('a VIP that somebody else moves is watched only', async (t) => {
  const site = startSite(t, { manageVip: false });
  await site.put(web());
  await site.reconciled();
  t.equal(site.kernel.world.services.size, 1);
  t.equal(site.kernel.world.addresses.length, 2);
  site.kernel.disturb((w) => w.addresses.push(addressOn('eth0', vip)));
  await site.waitFor('a pass that saw it', ({ look }) => look.addresses.length === 3);
  await site.put({});
  await site.reconciled();
  t.equal(site.kernel.world.addresses.length, 3, 'its owner’s');
});

t.test('a port that stays on the director tells whether something listens there', async (t) => {
  const site = startSite(t);
  site.kernel.listeners = (address, protocol) =>
    new Map(address === vip && protocol === 'tcp' ? [[8080, 'wildcard']] : []);
  const ports = { '8080/tcp': { policy: 'director' }, '8081/tcp': { policy: 'director' } };
  await site.put(web({}, { ports }));
  const { listening } = await site.reconciled();
  t.strictSame(
    [...listening],
    [
      [`${vip}:8080/tcp`, true],
      [`${vip}:8081/tcp`, false],
    ],
  );
});

t.test('a plan tells the steps that a PUT would take, and changes nothing', async (t) => {
  const site = await runningSite(t);
  const before = snapshot(site.kernel.world);
  const { revision } = site.director.last()!;
  const pools = poolsSchema.parse(web({ rs1 }, { ports: { '443/tcp': { policy: 'real-servers' } } }));
  const steps = await site.director.planFor(pools);
  t.strictSame(
    steps.map(({ op }) => op),
    ['add-service', 'add-destination', 'delete-service'],
  );
  t.equal(snapshot(site.kernel.world), before);
  t.equal(openState(site.folder).get().revision, revision);
  await site.put(pools);
  await site.waitFor('done', () => site.kernel.world.services.has(`${vip}:443/tcp`));
  t.strictSame(site.kernel.applied.slice(-3), steps);
});

t.test('stopping leaves everything in place and does nothing more', async (t) => {
  const site = await runningSite(t);
  const before = snapshot(site.kernel.world);
  await site.stop();
  await site.put({});
  site.kernel.disturb(() => {});
  await sleep(100);
  t.strictSame(site.lines(), []);
  t.equal(snapshot(site.kernel.world), before);
});

/** Makes a full look at the table so slow that the director looks in full every three seconds only. */
function slowDown(site: Site): void {
  const { services } = site.kernel;
  site.kernel.services = async () => {
    await sleep(150);
    return services();
  };
}

t.test('of a table that takes long to read, a lost service is still seen within a second', async (t) => {
  const site = await runningSite(t);
  slowDown(site);
  site.director.wake();
  await site.waitFor('a slow look', ({ look }) => look.tookMs >= 149);
  site.kernel.world.services.clear();
  t.ok((await took(() => site.waitFor('it is back', () => Object.keys(weights(site.kernel)).length === 2))) < 2000);
});

t.test('a pass that failed is tried again in full, though a look takes long', async (t) => {
  const site = await runningSite(t);
  slowDown(site);
  site.director.wake();
  await site.waitFor('a slow look', ({ look }) => look.tookMs >= 149);
  site.kernel.blind = 'ENOBUFS';
  await site.put(web({ rs1: { ...rs1, weight: 5 }, rs2 }));
  while (!site.director.error()) await site.director.passed.next(1000);
  site.kernel.blind = undefined;
  t.ok((await took(() => site.reconciled())) < 2000);
});

t.test(
  'after a restart who served keeps its weight while checks say nothing yet, and who is new waits for its first good check',
  async (t) => {
    const before = await runningSite(t);
    await before.stop();
    const site = startSite(t, before);
    site.health.judge = () => undefined;
    const rs3 = { address: '192.0.2.13' };
    await site.put(web({ rs1, rs2, rs3 }));
    site.report('rs1', rs1.address, vip);
    site.report('rs2', rs2.address, vip);
    site.report('rs3', rs3.address, vip);
    const settled = await site.waitFor('the start is settled, though no check has ended', (last) => last.settled);
    t.match(settled.standings.get('web')?.realServers.get('rs3')?.reason, /not checked yet/);
    t.strictSame(weights(site.kernel), { [rs1.address]: 100, [rs2.address]: 100, [rs3.address]: 0 });
    site.health.judge = () => up;
    site.director.wake();
    await site.waitFor('rs3 takes traffic', () => weights(site.kernel)[rs3.address] === 100);
  },
);

t.test('a start is settled once all agents have reported and all probes have answered', async (t) => {
  const before = await runningSite(t);
  await before.stop();
  const site = startSite(t, before);
  site.health.judge = () => undefined;
  site.report('rs1', rs1.address, vip);
  site.report('rs2', rs2.address, vip);
  await site.waitFor('the first look', () => true);
  site.health.judge = ({ address }) => (address === rs1.address ? up : refused);
  site.director.wake();
  t.ok(
    (await took(() => site.waitFor('settled', (last) => last.settled))) < 2000,
    'it does not wait for the whole time',
  );
  await site.waitFor('rs2 is out', () => weights(site.kernel)[rs2.address] === 0);
  t.match(site.told('real-server-out').at(-1), /rs2 of web takes no new traffic: is refused/);
});

t.test('with fallback "director" its own address is a destination, of weight only while nobody is left', async (t) => {
  const site = await runningSite(t);
  await site.put(web({ rs1 }, { fallback: 'director' }));
  await site.waitFor('it is there', () => weights(site.kernel)[vip] === 0);
  site.health.judge = () => refused;
  site.director.wake();
  await site.waitFor('the director answers', () => weights(site.kernel)[vip] === 1);
  t.equal(weights(site.kernel)[rs1.address], 0);
  t.match(site.told('pool-notice').at(-1), /^80\/tcp of web: no real server is left: the director answers by itself/);
  site.health.judge = () => up;
  site.director.wake();
  await site.waitFor('rs1 is back', () => weights(site.kernel)[rs1.address] === 100);
  t.equal(weights(site.kernel)[vip], 0);
  t.match(site.told('pool-notice').at(-1), /^80\/tcp of web: no longer: no real server is left/);
});

t.test('what is in maintenance and the director itself is not checked', async (t) => {
  const site = await runningSite(t);
  await site.put(web({ rs1: { ...rs1, state: 'maintenance' }, rs2, self: { address: '192.0.2.1' } }));
  await site.waitFor('the targets', () => site.health.targets.length === 1);
  t.match(site.health.targets, [{ vip, address: rs2.address, port: 80, protocol: 'tcp', check: { type: 'tcp' } }]);
  await site.put({});
  await site.waitFor('none', () => site.health.targets.length === 0);
});

t.test(
  'where probes come from is stored for the agents as soon as the interface is there, and is a revision once',
  async (t) => {
    const site = startSite(t);
    site.health.probers = (mac) => [`of ${mac}`];
    const { revision, state } = await site.waitFor('the probers', (last) => last.state.probers.length > 0);
    t.strictSame(state.probers, ['of 02:00:00:00:00:01']);
    site.director.wake();
    await site.director.passed.next(5000);
    t.equal(site.director.last()?.revision, revision);
  },
);

t.test(
  'weights by headroom follow the cards, which is neither drift nor news; what others change is drift all the same',
  async (t) => {
    let txMbit = 10;
    const cards = () => ({
      ownCard: undefined,
      cards: new Map([
        ['rs1', { speedMbit: 100, txMbit, lostShare: 0, ageMs: 0 }],
        ['rs2', { speedMbit: 100, txMbit: 50, lostShare: 0, ageMs: 0 }],
      ]),
    });
    const site = await runningSite(t, { cards });
    const [at1, at2] = [rs1.address, rs2.address];
    const weightOf = (address: string) => weights(site.kernel)[address] ?? 0;
    await site.put(web({ rs1, rs2 }, { balance: 'headroom' }));
    await site.waitFor('the fuller card to get less', () => weightOf(at1) === 1000 && weightOf(at2) < 900);
    const [news] = [site.types().length];
    txMbit = 90;
    await site.waitFor('and then the other', () => weightOf(at2) === 1000 && weightOf(at1) < 900);
    t.equal(site.types().length, news);
    for (const service of site.kernel.world.services.values()) service.destinations.pop();
    await site.waitFor('what somebody deleted', () => weightOf(at2) > 0);
    t.equal(site.told('drift').length, 1);
    t.match(site.told('drift')[0], /ipvsadm -a .*-r 192\.0\.2\.12:80/);
    t.match(
      site.director.last()?.standings.get('web')?.realServers.get('rs1')?.reason,
      /by headroom: its card is 90 % full/,
    );
  },
);

t.test('what a change of the balance would do to the weights is told before', async (t) => {
  const site = await runningSite(t);
  const pool = web({ rs1, rs2 });
  await site.put(pool);
  await site.reconciled();
  const weightsOf = async (document: object) =>
    (await site.director.planFor(poolsSchema.parse(document))).flatMap((step) =>
      'destination' in step ? step.destination.weight : [],
    );
  const balanced = web({ rs1, rs2 }, { balance: 'headroom' });
  t.strictSame(await weightsOf(balanced), [1000, 1000]);
  await site.put(balanced);
  await site.waitFor('the weights by headroom', () => weights(site.kernel)[rs1.address] === 1000);
  t.strictSame(await weightsOf(pool), [100, 100]);
  t.strictSame(await weightsOf(balanced), []);
});

t.test('who comes in begins slowly, and that is neither drift nor news', async (t) => {
  const site = await runningSite(t);
  await site.put(web({ rs1, rs2: { ...rs2, state: 'drain' } }, { slowStartMs: 1500 }));
  await site.reconciled();
  await site.put(web({ rs1, rs2 }, { slowStartMs: 1500 }));
  const seen = new Set<number>();
  await site.waitFor('all its weight', () => {
    const weight = weights(site.kernel)[rs2.address] ?? 0;
    seen.add(weight);
    return weight === 100;
  });
  t.ok(
    [...seen].some((weight) => weight > 0 && weight < 100),
    [...seen].join(),
  );
  t.equal(site.told('real-server-in').filter((words) => words.startsWith('rs2')).length, 2, 'each coming in once');
  t.strictSame(site.told('drift'), []);
});
