import { nothingDesired } from '../core/ledger.ts';
import { plan } from '../core/plan.ts';
import { emptyLedger, type State } from '../core/state.ts';
import { commandOf } from '../core/steps.ts';
import { CodedError } from '../errors.ts';
import type { Kernel } from '../kernel/kernel.ts';
import type { Document } from '../store/document.ts';
import { lookAt } from './facts.ts';

/**
 * Puts this host back as it was found: what the controller made goes, what it adopted is as before. The pools stay in
 * the store. Throws TEARDOWN_INCOMPLETE with what the kernel refused.
 *
 * @param told each step's equivalent command line
 */
export async function teardown(
  kernel: Kernel,
  state: Document<State>,
  interfaceName: string,
  told: (line: string) => void,
): Promise<void> {
  const { ledger } = state.get();
  const boot = kernel.bootId();
  if (ledger.boot === boot) {
    const look = await lookAt(kernel, interfaceName, Object.keys(ledger.sysctls));
    const steps = plan(nothingDesired(), look, ledger, { role: 'director', settled: true });
    for (const step of steps) told(commandOf(step));
    const failures = await kernel.apply(steps);
    if (failures.length > 0)
      throw new CodedError(
        'TEARDOWN_INCOMPLETE',
        `some of it could not be undone; correct the cause and run teardown again: ${failures.map(({ message }) => message).join('; ')}`,
      );
  }
  await state.change((now) => ({ ...now, ledger: emptyLedger(boot) }));
}
