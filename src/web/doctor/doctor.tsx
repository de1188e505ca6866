import { useEffect, useState } from 'preact/hooks';
import type { Finding } from '../../core/doctor/finding.ts';
import { call } from '../api/call.ts';
import { some } from '../text/format.ts';
import { FindingItem } from './finding-item.tsx';

/** A finding and the host that it is about. */
export type HostFinding = Omit<Finding, 'steps'> & { host: string };

const everyMs = 60_000;
const most = 12;
const urgency: Record<Finding['level'], number> = { problem: 0, warning: 1, unknown: 2, ok: 3 };

/** What the doctor found, the worst first; nothing at all while it has found nothing. */
export function Doctor() {
  const [findings, setFindings] = useState<readonly HostFinding[]>([]);
  useEffect(() => {
    const look = () =>
      call<{ findings: HostFinding[] }>('GET', '/v1/doctor').then(
        ({ body }) => setFindings(body.findings),
        // What was found before is not what is so.
        () => setFindings([]),
      );
    look();
    const timer = setInterval(look, everyMs);
    return () => clearInterval(timer);
  }, []);
  if (findings.length === 0) return null;
  const open = findings.filter(({ level }) => level !== 'ok').sort((a, b) => urgency[a.level] - urgency[b.level]);
  const fine = findings.length - open.length;
  return (
    <section class="doctor" aria-labelledby="doctor">
      <h2 id="doctor">Doctor</h2>
      {open.length > 0 && (
        <ul>
          {open.slice(0, most).map((finding) => (
            <FindingItem key={`${finding.check} ${finding.host} ${finding.what}`} finding={finding} />
          ))}
        </ul>
      )}
      {open.length > most && <p>and {open.length - most} more: dsrctl doctor lists them all.</p>}
      <p class="soft">
        {open.length === 0 ? `All is fine: ${some(fine, 'check')}.` : `${fine} other checks are fine.`}
      </p>
    </section>
  );
}
