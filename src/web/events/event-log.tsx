import { useState } from 'preact/hooks';
import { useEvents } from '../live/use-events.ts';

const few = 12;

/** What happened, newest first. */
export function EventLog() {
  const events = useEvents();
  const [all, setAll] = useState(false);
  const shown = all ? events : events.slice(0, few);
  return (
    <section class="events" aria-labelledby="events">
      <h2 id="events">Events</h2>
      {events.length === 0 && <p class="soft">Nothing has happened yet.</p>}
      <ol>
        {shown.map(({ id, time, message, pool, realServer, agent }) => (
          <li key={id}>
            <time dateTime={time}>{clock(time)}</time>
            <span>
              {message}
              <span class="soft about">{[pool, realServer, agent].filter(Boolean).join(' · ')}</span>
            </span>
          </li>
        ))}
      </ol>
      {events.length > few && (
        <button type="button" aria-expanded={all} onClick={() => setAll(!all)}>
          {all ? 'Show the last few' : `Show all ${events.length}`}
        </button>
      )}
    </section>
  );
}

const dayAndTime = new Intl.DateTimeFormat('en-GB', {
  month: 'short',
  day: '2-digit',
  hour: '2-digit',
  minute: '2-digit',
  second: '2-digit',
});

const clock = (time: string) => dayAndTime.format(new Date(time)).replace(',', '');
