import { CodedError } from './errors.ts';
import { asError } from './log.ts';

/** Says on stderr why a program cannot go on, and answers its exit code. */
export function explain(program: string, error: unknown): number {
  const known = error instanceof CodedError;
  const words = error instanceof Error ? (known ? error.message : (error.stack ?? error.message)) : String(error);
  process.stderr.write(asError(`${program}: ${words}\n`, process.env));
  return known ? error.exitCode : 1;
}

/** Runs `stop` once at SIGTERM or SIGINT, then ends the process. */
export function onStop(stop: (signal: string) => Promise<void>): void {
  let stopping = false;
  for (const signal of ['SIGTERM', 'SIGINT'] as const)
    process.on(signal, () => {
      if (stopping) return;
      stopping = true;
      stop(signal).then(
        () => process.exit(0),
        () => process.exit(1),
      );
    });
}
