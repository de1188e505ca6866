import { useEffect, useState } from 'preact/hooks';
import type { Event } from '../../schema.ts';
import { openStream } from './stream.ts';

const most = 200;

/** What happened, newest first; goes on where it was when the connection comes back. */
export function useEvents(): readonly Event[] {
  const [events, setEvents] = useState<readonly Event[]>([]);
  useEffect(() => {
    let last: number | undefined;
    let waiting: Event[] = [];
    const show = () => {
      const fresh = waiting.reverse();
      waiting = [];
      setEvents((before) => [...fresh, ...before].slice(0, most));
    };
    const stream = openStream({
      url: () => `/v1/events${last === undefined ? '' : `?after=${last}`}`,
      // The server says something every 15 s.
      patienceMs: 40_000,
      message: ({ data }) => {
        const event = JSON.parse(data) as Event;
        last = event.id;
        if (waiting.push(event) === 1) setTimeout(show, 50);
      },
      lost: () => {},
    });
    return () => stream.close();
  }, []);
  return events;
}
