// A program that does nothing but check what its first argument says, and writes what it finds.
import { join } from 'node:path';
import type { ProberOptions } from '../../src/check/probe.ts';
import type { Target } from '../../src/core/targets.ts';

const built = join(import.meta.dirname, '../../dist/src/check/prober.js');
const { startProber } = (await import(built)) as typeof import('../../src/check/prober.ts');
process.execArgv.length = 0;

const { options, targets } = JSON.parse(process.argv[2] ?? '{}') as {
  options: Omit<ProberOptions, 'log'>;
  targets: Target[];
};
const write = (what: string, about: unknown) => console.log(`${what} ${JSON.stringify(about)}`);
const prober = startProber({
  ...options,
  log: { info: (_, message) => write('info', message), warn: (_, message) => write('warn', message) },
});
prober.onFindings((findings) => write('findings', findings));
prober.set(targets);
