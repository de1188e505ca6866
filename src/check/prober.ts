import type { Finding } from '../core/health.ts';
import type { Link } from '../core/kernel-state.ts';
import { type Target, targetKey } from '../core/targets.ts';
import { openRoutes } from '../kernel/prober-network.ts';
import { readLinks } from '../kernel/rtnetlink.ts';
import { watchHost } from '../kernel/watch.ts';
import { startLoop } from '../loop.ts';
import { createBackoff } from './backoff.ts';
import type { FromProcess } from './messages.ts';
import type { Prober, ProberOptions } from './probe.ts';
import { type Parent, type ProberChild, startProberChild } from './prober-child.ts';
import type { KeyedTarget } from './runner.ts';

const LOOK_MS = 1000;
const SILENT_MS = 5000;
/** A process that has been silent for so long is killed. */
const LOST_MS = 15_000;
/** Heartbeats in a row whose probes were all broken, until that is a problem. */
const BROKEN_BEATS = 3;
const WORKED_MS = 30_000;

/** Starts the director's prober and keeps it going; whatever is in its way is told by `problem`. Throws KernelError. */
export function startProber(options: ProberOptions): Prober {
  const { interface: name, log } = options;
  const netlink = openRoutes();
  const stopping = new AbortController();
  const targets = new Map<string, Target>();
  const found = new Map<string, Finding['health']>();
  const backoff = createBackoff(100, 10_000);
  const findingsListeners: ((findings: Finding[]) => void)[] = [];
  const problemListeners: (() => void)[] = [];
  /** What is wrong, in the order of what explains most. */
  const wrong: Partial<Record<'interface' | 'process' | 'silent' | 'probes', string>> = {};
  let told: string | undefined;
  let child: ProberChild | undefined;
  let startedAt = 0;
  let notBefore = 0;
  let beatAt = 0;
  let brokenBeats = 0;

  const problem = () => wrong.interface ?? wrong.process ?? wrong.silent ?? wrong.probes;

  function changed(): void {
    const words = problem();
    if (words === told || stopping.signal.aborted) return;
    told = words;
    if (words === undefined) log.info({ interface: name }, 'real servers are checked');
    else log.warn({ interface: name }, `real servers cannot be checked: ${words}`);
    for (const listener of problemListeners) listener();
  }

  function hear(message: FromProcess): void {
    if (message.type === 'findings') {
      const current = message.findings.filter(({ key }) => targets.has(key));
      for (const { key, health } of current) found.set(key, health);
      if (current.length > 0) for (const listener of findingsListeners) listener(current);
    } else if (message.type === 'beat') {
      beatAt = performance.now();
      delete wrong.silent;
      if (message.probes > 0) brokenBeats = message.broken === message.probes ? brokenBeats + 1 : 0;
      if (brokenBeats === 0) delete wrong.probes;
      else if (brokenBeats >= BROKEN_BEATS && message.probes > 0)
        wrong.probes = `no check can be made: ${message.words}`;
      changed();
    }
  }

  const keyed = ([key, target]: [string, Target]): KeyedTarget => {
    const before = found.get(key);
    return { key, target, ...(before && { before }) };
  };

  async function begin(parent: Parent): Promise<void> {
    const begun = await startProberChild({ ...options, parent, netlink, onMessage: hear, signal: stopping.signal });
    child = begun;
    startedAt = beatAt = performance.now();
    brokenBeats = 0;
    for (const what of ['process', 'silent', 'probes'] as const) delete wrong[what];
    begun.send({ type: 'targets', add: [...targets].map(keyed), remove: [] });
    void begun.ended.then((words) => {
      child = undefined;
      failed(words);
      loop.wake();
    });
  }

  function failed(words: string): void {
    if (performance.now() - startedAt > WORKED_MS) backoff.worked();
    notBefore = performance.now() + backoff.failed();
    wrong.process = `${words}; it is tried again`;
    changed();
  }

  function watchChild(link: Link | undefined): void {
    if (!child) return;
    const silence = performance.now() - beatAt;
    if (silence > SILENT_MS) wrong.silent = `the prober has said nothing for more than ${SILENT_MS / 1000} s`;
    const { parent } = child;
    const other = link && (link.index !== parent.index || link.mac !== parent.mac);
    if (other || silence > LOST_MS) child.kill();
  }

  async function pass(): Promise<number> {
    const link = readLinks(netlink).find((one) => one.name === name);
    const words = interfaceProblem(link, name);
    if (words === undefined) delete wrong.interface;
    else wrong.interface = words;
    watchChild(link);
    changed();
    if (child || !link?.up) return LOOK_MS;
    const pause = notBefore - performance.now();
    if (pause > 0) return Math.min(pause, LOOK_MS);
    try {
      await begin(link);
    } catch (error) {
      if (!stopping.signal.aborted) failed((error as Error).message);
    }
    changed();
    return child ? LOOK_MS : 0;
  }

  const loop = startLoop(pass, (error) => {
    wrong.process = error.message;
    changed();
  });
  const watching = watchHost(loop.wake);
  loop.wake();

  return {
    set(wanted) {
      const before = new Set(targets.keys());
      const add: [string, Target][] = [];
      for (const target of wanted) {
        const key = targetKey(target);
        before.delete(key);
        if (targets.has(key)) continue;
        targets.set(key, target);
        add.push([key, target]);
      }
      for (const key of before) {
        targets.delete(key);
        found.delete(key);
      }
      if (add.length > 0 || before.size > 0) child?.send({ type: 'targets', add: add.map(keyed), remove: [...before] });
    },
    onFindings: (listener) => findingsListeners.push(listener),
    problem,
    onProblem: (listener) => problemListeners.push(listener),
    async stop() {
      stopping.abort(new Error('the prober is stopped'));
      watching.close();
      await loop.stop();
      await child?.end();
      netlink.close();
    },
  };
}

function interfaceProblem(link: Link | undefined, name: string): string | undefined {
  if (!link)
    return `this host has no interface "${name}": it is waited for; if it never comes, correct the setting "interface"`;
  if (!link.up) return `the interface ${name} is down: ip link set ${name} up`;
  if (!link.carrier) return `the interface ${name} has no carrier: is its cable plugged in?`;
  return undefined;
}
