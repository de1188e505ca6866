import { readFileSync } from 'node:fs';
import { familyOf } from '../core/address.ts';
import type { Finding } from '../core/health.ts';
import type { Target } from '../core/targets.ts';
import { openProberNetwork, type ProberNetwork } from '../kernel/prober-network.ts';
import { watchHost } from '../kernel/watch.ts';
import { attempt, type Surroundings } from './attempt.ts';
import { createMarks } from './marks.ts';
import type { FromProcess, ToProcess } from './messages.ts';
import { createNeighbors } from './neighbors.ts';
import { type Runner, startRunner } from './runner.ts';

/** The prober's own process, in a network namespace of its own: told by messages what to check, it tells what it finds. */

const BEAT_MS = 1000;
const BATCH_MS = 5;
const MOST_AT_ONCE = 2000;
/** File descriptors that are no probe's. */
const RESERVED_FILES = 100;

const send = (message: FromProcess): void => {
  process.send?.(message, undefined, {}, () => {});
};

function fail(error: unknown): void {
  const message: FromProcess = { type: 'failed', words: error instanceof Error ? error.message : String(error) };
  if (!process.send) process.exit(1);
  process.send(message, undefined, {}, () => process.exit(1));
}

/** How many probes may be under way: an exec check has more than one file open (getrlimit(2), proc(5)). */
function mostAtOnce(): number {
  const files = /^Max open files\s+(\d+)/m.exec(readFileSync('/proc/self/limits', 'utf8'))?.[1];
  return Math.max(10, Math.min(MOST_AT_ONCE, (Number(files ?? Number.POSITIVE_INFINITY) - RESERVED_FILES) / 2));
}

/** Findings in batches, so that a storm of them is few messages. */
function createTeller(): (finding: Finding) => void {
  let waiting: Finding[] = [];
  return (finding) => {
    waiting.push(finding);
    if (waiting.length > 1) return;
    setTimeout(() => {
      send({ type: 'findings', findings: waiting });
      waiting = [];
    }, BATCH_MS);
  };
}

/** Follows the link: its end is this process's, and without a carrier no check says anything. */
function watchLink(network: ProberNetwork): Pick<Surroundings, 'trouble' | 'epoch'> {
  let trouble: string | undefined;
  let epoch = 0;
  const look = () => {
    const link = network.link();
    if (!link) return fail(new Error("the prober's link is gone"));
    const words = link.up && link.carrier ? undefined : "the director's own interface has no carrier";
    if (words !== trouble) epoch++;
    trouble = words;
  };
  watchHost(look);
  look();
  return { trouble: () => trouble, epoch: () => epoch };
}

async function start({ link, addresses, linkLocal, programs }: ToProcess & { type: 'start' }) {
  const network = await openProberNetwork(link, addresses, linkLocal);
  const marks = createMarks();
  const failures = new Map<string, string>();
  const targets = new Map<string, Target>();
  const around: Surroundings = {
    ...watchLink(network),
    markOf: (address) =>
      network.trouble[familyOf(address)] ?? failures.get(address) ?? marks.of(address) ?? `no route to ${address} yet`,
    answers: createNeighbors(
      (address) => network.answers(address),
      () => performance.now(),
    ),
    sources: { ipv4: addresses.ipv4.address, ipv6: addresses.ipv6.address },
    programs,
  };
  const runner: Runner = startRunner({
    probe: (target, signal) => attempt(target, signal, around),
    tell: createTeller(),
    clock: {
      steady: () => performance.now(),
      now: () => Date.now(),
      after: (ms, call) => {
        const timer = setTimeout(call, ms);
        return () => clearTimeout(timer);
      },
    },
    random: Math.random,
    limit: mostAtOnce(),
  });
  setInterval(() => send({ type: 'beat', ...runner.count() }), BEAT_MS);
  send({ type: 'ready' });

  return async ({ add, remove }: ToProcess & { type: 'targets' }): Promise<void> => {
    runner.remove(remove);
    const fresh = add.filter(({ key }) => !targets.has(key));
    const takes = fresh.flatMap(({ target }) => marks.take(target.address) ?? []);
    const releases = remove.flatMap((key) => {
      const target = targets.get(key);
      targets.delete(key);
      return (target && marks.release(target.address)) ?? [];
    });
    for (const { key, target } of fresh) targets.set(key, target);
    await network.delete(releases);
    for (const { gateway } of releases) failures.delete(gateway);
    for (const [gateway, error] of await network.add(takes)) failures.set(gateway, error.message);
    runner.add(fresh);
  };
}

let change: ReturnType<typeof start> | undefined;
let work: Promise<void> = Promise.resolve();

process.on('message', (message: ToProcess) => {
  if (message.type === 'start') change = start(message);
  else work = work.then(async () => (await change)?.(message));
  Promise.all([change, work]).catch(fail);
});
// The controller has ended, in whatever way: nothing is left of us, and the link goes with the namespace.
process.on('disconnect', () => process.exit(0));
// A terminal's Ctrl-C is the controller's to act upon.
process.on('SIGINT', () => {});
send({ type: 'hello' });
