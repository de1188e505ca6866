import { type Step, subjectOf } from '../core/steps.ts';
import { type Advice, KernelError, kernelError, type Refusal } from './errors.ts';
import type { StepFailure } from './kernel.ts';

/** A step that was refused, in words. */
export function failureOf(step: Step, refusal: Refusal, advice?: Advice): StepFailure {
  const { code, message } = kernelError(doing(step), refusal, advice);
  return { step, code, message };
}

/** A step that failed with an error. Errors that are not the kernel's are thrown on. */
export function failureBy(step: Step, error: unknown): StepFailure {
  if (!(error instanceof KernelError)) throw error;
  return { step, code: error.code, message: error.message };
}

function doing(step: Step): string {
  const what = `${step.op.replace('-', ' ')} ${subjectOf(step)}`;
  switch (step.op) {
    case 'add-destination':
    case 'set-destination':
      return `${what} to ${step.destination.address}`;
    case 'delete-destination':
      return `${what} to ${step.address}`;
    default:
      return what;
  }
}
