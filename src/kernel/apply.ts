import { setImmediate } from 'node:timers/promises';
import { destinationKey, serviceKey } from '../core/kernel-state.ts';
import type { Step } from '../core/steps.ts';
import { failureBy } from './failures.ts';
import { type IpvsStep, isIpvsStep } from './ipvs-encode.ts';
import type { StepFailure } from './kernel.ts';
import { BATCH } from './netlink.ts';

export type OtherStep = Exclude<Step, IpvsStep>;

/** What applies steps: IPVS ones many at a time, the others one by one. Both may throw KernelError. */
export interface Appliers {
  ipvs: (steps: readonly IpvsStep[]) => StepFailure[];
  other: (step: OtherStep) => void;
}

/** Applies the steps in order and goes on after a failure. Yields to the event loop between batches. */
export async function applySteps(steps: readonly Step[], { ipvs, other }: Appliers): Promise<StepFailure[]> {
  const failures: StepFailure[] = [];
  for (let at = 0; at < steps.length; ) {
    if (at > 0) await setImmediate();
    const step = steps[at]!;
    const batch = isIpvsStep(step) ? batchAt(steps, at) : [];
    at += batch.length || 1;
    try {
      if (isIpvsStep(step)) failures.push(...ipvs(batch));
      else other(step);
    } catch (error) {
      failures.push(...(batch.length > 0 ? batch : [step]).map((failed) => failureBy(failed, error)));
    }
  }
  return failures;
}

/**
 * The IPVS steps from `at` on that may go together: no two about the same thing, since an add that finds its thing there
 * becomes a set after the others.
 */
function batchAt(steps: readonly Step[], at: number): IpvsStep[] {
  const batch: IpvsStep[] = [];
  const things = new Set<string>();
  const services = new Set<string>();
  for (let index = at; index < steps.length && batch.length < BATCH; index++) {
    const step = steps[index]!;
    if (!isIpvsStep(step)) break;
    const service = serviceKey(step.service);
    const thing = thingOf(step, service);
    if (things.has(thing) || (step.op === 'delete-service' && services.has(service))) break;
    things.add(thing);
    services.add(service);
    batch.push(step);
  }
  return batch;
}

function thingOf(step: IpvsStep, service: string): string {
  if ('destination' in step) return `${service} ${destinationKey(step.destination)}`;
  return step.op === 'delete-destination' ? `${service} ${destinationKey(step)}` : service;
}
