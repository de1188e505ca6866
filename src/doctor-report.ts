import type { Finding } from './core/doctor/finding.ts';
import { commandOf } from './core/steps.ts';
import type { Kernel } from './kernel/kernel.ts';

const marks = { ok: ' ok ', warning: 'warn', problem: 'BAD ', unknown: ' ?  ' } as const;

/**
 * Prints findings for a person; with a kernel it first mends what is safe to mend. Answers the exit code: 1 when a
 * problem is left.
 */
export async function tellFindings(
  findings: readonly Finding[],
  mend?: Pick<Kernel, 'apply'>,
  write: (text: string) => void = (text) => process.stdout.write(text),
): Promise<number> {
  let problems = 0;
  for (const finding of findings) {
    const { check, level, what, why, fix, steps = [] } = finding;
    const lines = [`[${marks[level]}] ${check}: ${what}`];
    const failures = mend && steps.length > 0 ? await mend.apply(steps) : undefined;
    if (level !== 'ok') lines.push(`       why: ${why}`);
    for (const { message } of failures ?? []) lines.push(`       could not be mended: ${message}`);
    if (failures?.length === 0)
      lines.push(...steps.map((step) => `       mended: ${commandOf(step)}   # until the next boot; for good:`));
    lines.push(...fix.map((line) => `       ${line.startsWith('#') ? line : `$ ${line}`}`));
    if (level === 'problem' && failures?.length !== 0) problems++;
    write(`${lines.join('\n')}\n`);
  }
  return problems > 0 ? 1 : 0;
}
