import type { Alarm } from './alarm-list.ts';

const most = 6;

/** What needs somebody's attention, and what to do about it. Read out when it changes. */
export function Alarms({ alarms }: { alarms: readonly Alarm[] }) {
  const rest = alarms.length - most;
  return (
    <section class="alarms" aria-label="Needs attention" aria-live="polite">
      {alarms.length > 0 && (
        <ul>
          {alarms.slice(0, most).map(({ subject, text }) => (
            <li key={`${subject} ${text}`}>
              <svg class="icon" viewBox="0 0 16 16" width="16" height="16" aria-hidden="true">
                <path d="M8 1.500L15 14.500H1Z" />
                <path class="stroke" d="M8 6v4M8 11.800v.8" />
              </svg>
              <span>
                <strong>{subject}</strong> {text}
              </span>
            </li>
          ))}
          {rest > 0 && <li class="rest">and {rest} more, in the list of real servers</li>}
        </ul>
      )}
    </section>
  );
}
