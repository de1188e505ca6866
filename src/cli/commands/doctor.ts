import type { Command } from 'commander';
import { CodedError } from '../../errors.ts';
import type { Act } from '../cli.ts';
import { Refusal } from '../client.ts';
import { doctorSchema } from '../view/answers.ts';
import { findingLines } from '../view/lists.ts';

/** dsrctl doctor */
export function addDoctor(program: Command, act: Act): void {
  program
    .command('doctor')
    .description('what is wrong with the site, why, and how to put it right; 1 when there is a problem')
    .action(
      act(async ({ client, show }) => {
        const { raw, value } = await client
          .call('GET', 'v1/doctor', doctorSchema, { timeoutMs: 60_000 })
          .catch((error: unknown) => {
            if (!(error instanceof Refusal) || error.status !== 404) throw error;
            throw new CodedError(
              'NO_DOCTOR',
              `the controller ${client.base} has no doctor: it is older than this dsrctl`,
            );
          });
        show(raw, () => findingLines(value.findings));
        return value.findings.some(({ level }) => level === 'problem') ? 1 : 0;
      }),
    );
}
