import { commandOf, type Step, subjectOf } from '../core/steps.ts';
import type { Standing } from '../core/weight.ts';
import type { StepFailure } from '../kernel/kernel.ts';
import type { Events } from '../store/events.ts';
import type { Pass } from './reconcile.ts';

/** Most events that one pass makes of one kind; the rest is counted in one more. */
const most = 20;

/**
 * Tells what differs between two passes: real servers that came or went, refused steps, drains that ended. Of real servers
 * only when the later one is settled.
 */
export function reportChanges(events: Events, before: Pass | undefined, after: Pass): void {
  if (!before) return;
  const lines: Parameters<Events['add']>[] = [];
  for (const [pool, { realServers, ports }] of after.settled ? after.standings : []) {
    const old = before.standings.get(pool);
    for (const [name, now] of realServers) {
      const line = standingWords(`${name} of ${pool}`, old?.realServers.get(name), now);
      if (line) lines.push([...line, { pool, realServer: name }]);
    }
    for (const [port, { notice }] of ports) {
      const was = old?.ports.get(port)?.notice;
      if (notice !== was) lines.push(['pool-notice', `${port} of ${pool}: ${notice ?? `no longer: ${was}`}`, { pool }]);
    }
  }
  const ended = before.state.drains.filter(
    (drain) =>
      !drain.done &&
      after.state.drains.some(
        (d) => d.done && d.pool === drain.pool && d.vip === drain.vip && d.address === drain.address,
      ),
  );
  for (const { pool, realServer, address } of ended)
    lines.push([
      'drained',
      `${realServer ?? address} of ${pool} is drained`,
      { pool, ...(realServer !== null && { realServer }) },
    ]);
  const known = new Set(before.failures.map(words));
  for (const failure of after.failures) if (!known.has(words(failure))) lines.push(['step-refused', words(failure)]);
  addSome(events, lines);
}

/** Tells that somebody else had changed the kernel, and what put it right: one event for each thing that was changed. */
export function reportDrift(events: Events, repaired: readonly Step[], failures: readonly StepFailure[]): void {
  const failed = new Set(failures.map(({ step }) => subjectOf(step)));
  const bySubject = new Map<string, Step[]>();
  for (const step of repaired) {
    const subject = subjectOf(step);
    bySubject.set(subject, [...(bySubject.get(subject) ?? []), step]);
  }
  addSome(
    events,
    [...bySubject].map(([subject, steps]) => {
      const how = failed.has(subject) ? 'could not be put right' : 'was put right';
      const commands = steps.slice(0, 5).map(commandOf).join('; ');
      const more = steps.length > 5 ? ` and ${steps.length - 5} more` : '';
      const vip = steps.map((step) =>
        'service' in step ? step.service.vip : 'address' in step ? step.address : undefined,
      )[0];
      return [
        'drift',
        `${subject} had been changed by somebody else and ${how}: ${commands}${more}`,
        vip === undefined ? {} : { vip },
      ];
    }),
  );
}

function addSome(events: Events, lines: Parameters<Events['add']>[]): void {
  const counts = new Map<string, number>();
  for (const line of lines) {
    const count = (counts.get(line[0]) ?? 0) + 1;
    counts.set(line[0], count);
    if (count <= most) events.add(...line);
  }
  for (const [type, count] of counts) if (count > most) events.add(type, `and ${count - most} more like this`);
}

/** What is news of one real server: its cause while it is out, not while it serves and all is well. */
function standingWords(who: string, was: Standing | undefined, now: Standing): [string, string] | undefined {
  if (!now.serving && (was?.serving !== false || was.reason !== now.reason))
    return ['real-server-out', `${who} takes no new traffic: ${now.reason}`];
  if (!now.serving) return undefined;
  if (!was?.serving) return ['real-server-in', `${who} takes traffic: ${now.reason}`];
  if (now.well !== was.well)
    return now.well
      ? ['real-server-well', `${who} is well again: ${now.reason}`]
      : ['real-server-unwell', `${who} takes traffic, but needs a look: ${now.reason}`];
  return undefined;
}

const words = ({ step, message }: StepFailure) => `${commandOf(step)}: ${message}`;
