// A program that does nothing but check what its first argument says, and writes what it finds.
import type { ProberOptions } from '../../src/check/probe.ts';
import { startProber } from '../../src/check/prober.ts';
import type { Target } from '../../src/core/targets.ts';

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
