import type { Check } from '../../check-schema.ts';
import type { Outcome } from '../../core/health.ts';
import type { Kind, Probe } from '../open.ts';
import { dns } from './dns.ts';
import { exec } from './exec.ts';
import { outcomeOf } from './faults.ts';
import { greeting } from './greeting.ts';
import { http } from './http.ts';
import { tidy } from './outcomes.ts';
import { tcp } from './tcp.ts';
import { udp } from './udp.ts';

const kinds: { [T in Check['type']]: Kind<Extract<Check, { type: T }>> } = {
  tcp,
  http,
  https: http,
  dns,
  smtp: greeting,
  imap: greeting,
  pop3: greeting,
  ftp: greeting,
  udp,
  exec,
};

/** Makes one probe; never throws. Its time is over when the signal is aborted. */
export async function probeOnce(probe: Probe): Promise<Outcome> {
  // The type of the check picks the kind that takes checks of that type.
  const kind = kinds[probe.check.type] as Kind;
  try {
    return tidy(await kind(probe));
  } catch (error) {
    return tidy(outcomeOf(error, probe, 'connect'));
  }
}
