import { setTimeout as sleep } from 'node:timers/promises';
import { isDeepStrictEqual } from 'node:util';
import { commandOf } from '../src/core/steps.ts';
import { withEdge } from '../src/core/url/edge.ts';
import { createSignal, startLoop, until } from '../src/loop.ts';
import type { Report } from '../src/schema.ts';
import type { ControllerClient } from './controller-client.ts';
import { createDoctor } from './doctor.ts';
import type { Edge } from './edge.ts';
import type { Taker } from './handoff/taker.ts';
import { type HostOptions, type HostPass, reconcileHost } from './host.ts';
import { createMeter } from './meter.ts';

const lookMs = 500;
const reportMs = 1000;
const retryMs = 500;
/** A thousand agents may come back at once. */
const mostRetryMs = 4000;
const renewMs = 60_000;
/** So many answers in a row without a connection: a handshake that was under way when the weight fell has then ended. */
const quietReports = 3;

export interface AgentOptions {
  host: HostOptions;
  /** Takes connections from the front; undefined: none. */
  taker?: Pick<Taker, 'follow'>;
  /** Absent: this host has no web server that is looked after. */
  edge?: Pick<Edge, 'reconcile'>;
  controller: ControllerClient;
  /** Whether it is time for a new token. */
  isRenewalDue?: () => boolean;
  machineId: string;
  /** Of the card, in Mbit/s; undefined: what its driver says. */
  speedMbit: number | undefined;
  log: Record<'info' | 'warn' | 'error', (keys: object, message: string) => void>;
  /** Told each time that the controller could not be reached. */
  unreachable?: () => Promise<void>;
}

/** Keeps this host as the controller last wanted it, and reports; needs no controller to begin or to go on. */
export interface Agent {
  /** Ends when stopped; rejects only by a fault of its own. */
  ended: Promise<unknown>;
  /** How often this host was looked after since the start, well or badly. */
  rounds(): number;
  /** How that went last, in one line. */
  status(): string;
  /**
   * Tells the controller that this host is about to go away, and waits until no connection is left here, but no longer
   * than `timeoutMs`.
   */
  leave(timeoutMs: number): Promise<void>;
  /** Resolves when nothing goes on any more; this host stays as it is. */
  stop(): Promise<void>;
}

export function startAgent({
  host,
  taker,
  edge,
  controller,
  isRenewalDue,
  machineId,
  speedMbit,
  log,
  unreachable,
}: AgentOptions): Agent {
  const { kernel, memory } = host;
  const ending = new AbortController();
  const passed = createSignal();
  let last: HostPass | undefined;
  const meter = createMeter(kernel, speedMbit, (error) =>
    log.warn({ err: error }, 'the traffic of this host cannot be read'),
  );
  const doctor = createDoctor(kernel, (error) => log.warn({ err: error }, 'this host cannot be looked over'));
  let leaving = false;
  let quiet = 0;
  let rounds = 0;
  let failure: Error | undefined;
  const left = createSignal();
  const passWith = (pass: HostPass) => {
    const problems = !isDeepStrictEqual(pass.problems, last?.problems ?? []);
    if (problems) log.warn({ problems: pass.problems }, 'problems of this host');
    const changed = !isDeepStrictEqual({ ...pass, steps: [] }, { ...last, steps: [] });
    last = pass;
    if (changed) passed.notify();
  };
  const loop = startLoop(
    async () => {
      const looked = await reconcileHost(host);
      const pass = { ...looked, problems: [...looked.problems, ...(taker?.follow(memory.get().desired) ?? [])] };
      if (pass.steps.length > 0) log.info({ steps: pass.steps.map(commandOf) }, 'applied');
      // The desired state that it goes by may be newer than the pass's: then the next pass is.
      const found = await edge?.reconcile(memory.get().desired);
      passWith(found ? { ...pass, vips: withEdge(pass.vips, found, Date.now()) } : pass);
      failure = undefined;
      rounds++;
      return lookMs;
    },
    (error, again) => {
      failure = error;
      rounds++;
      if (!again) log.error({ err: error }, 'reconcile failed, trying again');
      // What was last seen may still be so; that it cannot be looked at now is told beside it.
      if (last) passWith({ ...last, problems: [`this host cannot be looked after: ${error.message}`] });
    },
  );
  const watch = kernel.watch(loop.wake);
  loop.wake();

  const poll = async () => {
    let known: number | undefined;
    let trouble = '';
    let failures = 0;
    while (!ending.signal.aborted) {
      try {
        const desired = await controller.desired(known, ending.signal);
        if (!isDeepStrictEqual(desired, memory.get().desired)) await memory.change((now) => ({ ...now, desired }));
        if (desired.revision !== known) loop.wake();
        known = desired.revision;
        if (trouble) log.info({}, 'the controller is followed again');
        trouble = '';
        failures = 0;
      } catch (error) {
        if (ending.signal.aborted) return;
        const { message } = error as Error;
        if (message !== trouble)
          log.warn({ reason: message }, 'the controller is not followed; this host stays as it is');
        trouble = message;
        // It may come back with another past, and the same revision.
        known = undefined;
        await unreachable?.();
        const pause = Math.min(mostRetryMs, retryMs * 2 ** Math.min(failures++, 10)) * (1 + Math.random());
        await sleep(pause, undefined, { signal: ending.signal }).catch(() => {});
      }
    }
  };

  const report = async () => {
    let sent: Report | undefined;
    let trouble = '';
    let failures = 0;
    while (!ending.signal.aborted) {
      if (last) {
        const next = reportOf(machineId, kernel.bootId(), last, leaving);
        const told = await controller
          .report({
            ...next,
            ...meter.read(last.repliesBy, last.interface, memory.get().desired.vips),
            ...doctor.told(last.vips),
            clock: Date.now(),
          })
          .then(
            (answer) => {
              quiet = next.leaving && answer.serving === 0 && answer.connections === 0 ? quiet + 1 : 0;
              return '';
            },
            (error: Error) => error.message,
          );
        if (quiet >= quietReports) left.notify();
        if (told && told !== trouble && !ending.signal.aborted) log.warn({ reason: told }, 'the report was not taken');
        trouble = told;
        failures = told ? failures + 1 : 0;
        sent = next;
      }
      // A change while the report was under way is sent at once.
      const isSent = last && isDeepStrictEqual(sent, reportOf(machineId, kernel.bootId(), last, leaving));
      if (!last || isSent || trouble)
        await passed.next(
          Math.min(mostRetryMs, reportMs * 2 ** Math.min(Math.max(0, failures - 1), 10)),
          ending.signal,
        );
    }
  };

  const renew = async () => {
    while (!ending.signal.aborted) {
      if (isRenewalDue?.())
        await controller.renew().then(
          () => log.info({}, 'a new token was taken'),
          (error: Error) => log.warn({ reason: error.message }, 'no new token yet'),
        );
      await sleep(renewMs, undefined, { signal: ending.signal }).catch(() => {});
    }
  };

  const ended = Promise.all([poll(), report(), renew()]);
  const status = () => {
    if (failure) return `this host cannot be looked after: ${failure.message}`;
    const { vips } = memory.get().desired;
    const problems = last?.problems[0] ? `; ${last.problems[0]}` : '';
    return `${vips.length} ${vips.length === 1 ? 'VIP' : 'VIPs'}${problems}`;
  };
  return {
    ended,
    rounds: () => rounds,
    status,
    leave: async (timeoutMs) => {
      leaving = true;
      passed.notify();
      await until(left, () => (quiet >= quietReports ? true : undefined), timeoutMs);
    },
    stop: async () => {
      ending.abort();
      watch.close();
      await controller.close();
      await Promise.all([loop.stop(), ended]);
    },
  };
}

/** The report of a pass, cut to what a report may be. */
export const reportOf = (
  machineId: string,
  bootId: string,
  pass: Omit<HostPass, 'steps'>,
  leaving = false,
): Report => ({
  protocol: 1,
  machineId,
  bootId,
  revision: pass.revision,
  addresses: pass.addresses,
  vips: pass.vips,
  problems: pass.problems.slice(0, 100).map((problem) => problem.slice(0, 500)),
  ...(leaving && { leaving }),
  ...(pass.mtu !== undefined && { mtu: pass.mtu }),
});
