import { createHash } from 'node:crypto';
import fc from 'fast-check';
import type { InjectOptions } from 'fastify';
import t, { type Test } from 'tap';
import { serviceKey } from '../../src/core/kernel-state.ts';
import type { Report } from '../../src/schema.ts';
import { down, refused, up } from '../health.ts';
import { seed } from '../property.ts';
import { agentNames, documentArb, type Operation, type Request, reportRequestArb, requestArb } from '../requests.ts';
import { type Told, wrongWeights } from './oracle.ts';
import { type Controller, startController } from './site.ts';

/** How many requests, and how many reports. */
const wanted = 10_000;
/** Requests, and reports, between two looks at the weights; and such rounds of one controller. */
const [perRound, rounds] = [10, 10];

interface Round {
  /** A document of pools that is as it must be. */
  document: object;
  requests: Request[];
  /** What the checks find, and what listens on the director, follows from this number. */
  luck: number;
  trouble: boolean;
}

/** Evenly spread, the same for the same words. */
const chance = (...words: unknown[]) => createHash('md5').update(words.join(' ')).digest().readUInt16BE() / 65_536;

function probeOf(luck: number, vip: string, address: string, port: number): 'up' | 'soft' | 'hard' | 'unknown' {
  const x = chance(luck, vip, address, port);
  return x < 0.7 ? 'up' : x < 0.8 ? 'soft' : x < 0.9 ? 'hard' : 'unknown';
}
const healthOf = { up, soft: down, hard: refused, unknown: undefined };

async function operationsOf(c: Controller): Promise<Operation[]> {
  const { paths } = (await c.call('GET', '/openapi.json')).body;
  return Object.entries<object>(paths).flatMap(([path, verbs]) =>
    Object.keys(verbs).map((verb) => ({ method: verb.toUpperCase(), path })),
  );
}

/** What all of it came to. */
interface Tally {
  /** How often each status was answered. */
  statuses: Map<number, number>;
  /** Destinations that had a weight, and those that had none, when they were looked at. */
  serving: number;
  out: number;
}

/** What a controller answered, and what it must know since. */
interface Session {
  c: Controller;
  reports: Map<string, { report: Report; at: number }>;
  served: Set<string>;
  tally: Tally;
}

const agentPath = /^\/v1\/agents\/([^/?]*)(\/report)?(?:\?|$)/;

async function send({ c, reports, tally: { statuses } }: Session, request: Request): Promise<void> {
  const before = c.state.get();
  const isStream = /^\/v1\/(events|status\/stream)/.test(request.url);
  const answer = await c.api.inject({
    method: request.method as NonNullable<InjectOptions['method']>,
    url: request.url,
    headers: request.headers,
    payloadAsStream: isStream,
    ...(request.body !== undefined && { payload: request.body as string }),
  });
  const { statusCode } = answer;
  if (isStream) answer.stream().destroy();
  else if (statusCode >= 400) isProblem(answer.statusCode, answer.headers['content-type'], answer.body);
  statuses.set(statusCode, (statuses.get(statusCode) ?? 0) + 1);
  if (statusCode >= 400 && before.pools !== c.state.get().pools) throw new Error(`refused, and stored: ${statusCode}`);
  if (statusCode !== 200) return;
  const [, name = '', isReport] = agentPath.exec(request.url) ?? [];
  if (isReport && request.method === 'POST') {
    const report = JSON.parse(Buffer.from(request.body ?? '').toString()) as Report;
    const known = reports.get(name);
    if (known && known.report.machineId !== report.machineId) throw new Error('two machines speak under one name');
    reports.set(name, { report, at: Date.now() });
  } else if (name !== '' && request.method === 'DELETE') reports.delete(name);
}

function isProblem(status: number, type: unknown, body: string): void {
  if (status >= 500) throw new Error(`${status}: ${body}`);
  const problem = JSON.parse(body);
  if (type !== 'application/problem+json' || problem.status !== status || !problem.code || !problem.detail)
    throw new Error(`no problem document: ${body}`);
}

/** Passes begin after this, and the last of them knows what the checks of the others' targets found. */
async function settle({ director }: Controller): Promise<void> {
  for (let passes = 0; passes < 3; passes++) {
    const next = director.passed.next(20_000);
    director.wake();
    if (!(await next)) throw new Error('no pass in 20 s');
    const error = director.error();
    if (error) throw error;
  }
}

async function startSession(t: Test, tally: Tally): Promise<Session> {
  const c = await startController(t);
  await c.when(() => c.director.last()?.settled ?? false);
  const session: Session = { c, reports: new Map(), served: new Set(), tally };
  const { apply } = c.kernel;
  c.kernel.apply = (steps) => {
    for (const step of steps)
      if ((step.op === 'add-destination' || step.op === 'set-destination') && step.destination.weight > 0)
        session.served.add(`${serviceKey(step.service)} ${step.destination.address}`);
    return apply(steps);
  };
  return session;
}

/** Sends all, and answers what is wrong with the weights after it. */
async function live(session: Session, { document, requests, luck, trouble }: Round): Promise<string[]> {
  const { c, reports, served, tally } = session;
  const listens = (vip: string, port: number, protocol: string) => chance(luck, vip, port, protocol) < 0.5;
  c.health.trouble = trouble ? 'the test says so' : undefined;
  c.health.judge = ({ vip, address, port, check }) => healthOf[probeOf(luck, vip, address, check.port ?? port)];
  c.kernel.listeners = (vip, protocol) =>
    new Map([53, 80, 443, 8080].filter((port) => listens(vip, port, protocol)).map((port) => [port, 'wildcard']));
  const { status } = await c.call('PUT', '/v1/pools', { pools: document });
  if (status >= 300) throw new Error(`a right document is answered with ${status}`);
  const before = new Set(served);
  const began = c.state.get().pools;
  const since = Date.now();
  for (const request of requests) await send(session, request);
  await settle(c);
  const { pools } = (await c.call('GET', '/v1/pools')).body;
  for (const name of Object.keys(pools)) {
    const { status } = await c.call('GET', `/v1/status?pool=${name}`);
    if (status !== 200) throw new Error(`status of ${name}: ${status}`);
  }
  const mayHaveServed: Told['mayHaveServed'] = (pool, name, destination) =>
    before.has(destination) ||
    (reports.get(name)?.at ?? 0) >= since ||
    began[pool]?.revision !== c.state.get().pools[pool]?.revision;
  const told: Told = { pools, reports, probe: (...of) => probeOf(luck, ...of), trouble, listens, mayHaveServed };
  for (const { destinations } of c.kernel.world.services.values())
    for (const { weight } of destinations) tally[weight > 0 ? 'serving' : 'out']++;
  return wrongWeights(c.kernel.world, told, Date.now());
}

/** Sends as many of each, in rounds, to one controller after the other. */
async function bombard(t: Test, ejection: boolean, count: number): Promise<void> {
  const first = await startController(t);
  const operations = await operationsOf(first);
  await first.stop();
  // Writes that make things are sent oftener than those that take all away.
  const often: Record<string, number> = { PUT: 12, PATCH: 12, POST: 4, GET: 4 };
  const weighted = operations.flatMap((one) => Array<Operation>(often[one.method] ?? 1).fill(one));
  const oddMethods = operations.map(({ path }) => ({ method: 'OPTIONS', path }));
  const api = requestArb([...weighted, ...oddMethods], ejection);
  const roundArb = (names: string[]) =>
    fc.record({
      document: documentArb(ejection).filter((pools) => Object.keys(pools).length > 1),
      requests: fc
        .array(fc.tuple(api, reportRequestArb(names)), { minLength: perRound, maxLength: perRound })
        .map((pairs) => pairs.flat()),
      luck: fc.nat(),
      trouble: fc.nat(3).map((n) => n === 0),
    });
  const tally: Tally = { statuses: new Map(), serving: 0, out: 0 };
  t.comment(`FC_SEED=${seed}, ${count} requests and ${count} reports`);
  // Some agents never speak.
  const allArb = fc
    .subarray([...agentNames], { minLength: 1 })
    .chain((names) => fc.array(roundArb(names), { minLength: rounds, maxLength: rounds }));
  const property = fc.asyncProperty(allArb, async (all) => {
    const session = await startSession(t, tally);
    try {
      for (const round of all) isRight(await live(session, round));
    } finally {
      await session.c.stop();
    }
  });
  // The first failure is told as it is: a smaller one takes long to find, and FC_SEED brings this one back.
  const numRuns = Math.ceil(count / perRound / rounds);
  const { failed, errorInstance } = await fc.check(property, { seed, endOnFailure: true, numRuns });
  const answers = [...tally.statuses].sort().map(([status, times]) => `${times} x ${status}`);
  t.comment(`answers: ${answers.join(', ')}; destinations: ${tally.serving} with a weight, ${tally.out} without`);
  if (failed) throw errorInstance;
  for (const status of [200, 201, 202, 400, 404, 405, 409, 412, 415])
    t.ok(tally.statuses.has(status), `some are answered with ${status}`);
  t.ok(tally.serving > count / 20 && tally.out > count / 20, 'there are destinations with and without weight');
}

const isRight = (wrong: string[]) => {
  if (wrong.length > 0) throw new Error(wrong.join('\n'));
};

t.test('whatever the API and the agents are sent, every weight is right after it', (t) => bombard(t, false, wanted));

t.test('so it is with limits on ejections and fallbacks', (t) => bombard(t, true, wanted / 4));
