import { constants } from 'node:os';
import type { Advice, Refusal } from './errors.ts';
import type { IpvsStep } from './ipvs-encode.ts';

const { EEXIST, ENOENT, ESRCH } = constants.errno;

/** Whether an add was refused because it is there, so that it becomes {@link asSet a set}. */
export const isThere = (step: IpvsStep, refusal: Refusal | undefined): boolean =>
  refusal !== undefined && refusal.errno === EEXIST && (step.op === 'add-service' || step.op === 'add-destination');

/** Whether a delete was refused because nothing is there, or not even its service. */
export const isGone = (step: IpvsStep, refusal: Refusal): boolean =>
  (refusal.errno === ENOENT || refusal.errno === ESRCH) &&
  (step.op === 'delete-service' || step.op === 'delete-destination');

/** The step that makes what is there as an add wants it. */
export function asSet(step: IpvsStep): IpvsStep {
  if (step.op === 'add-service') return { ...step, op: 'set-service' };
  return step.op === 'add-destination' ? { ...step, op: 'set-destination' } : step;
}

/** What IPVS means by an errno for this kind of step (net/netfilter/ipvs/ip_vs_ctl.c). */
export function adviceFor(step: IpvsStep): Advice {
  if ('config' in step) {
    const { scheduler } = step.config;
    return {
      ENOENT: `the kernel has no scheduler "${scheduler}"; try \`modprobe ip_vs_${scheduler}\``,
      ESRCH: 'there is no such service',
      EAFNOSUPPORT: 'this kernel has IPVS without IPv6',
    };
  }
  return {
    ENOENT: 'there is no such destination',
    ESRCH: 'its service is not there',
    ERANGE: 'a weight below 0 or a lower threshold above the upper one',
  };
}
