import { useContext, useEffect, useState } from 'preact/hooks';
import type { ServerDetail } from '../live/status.ts';
import { Live } from '../parts/live.ts';
import { ago, some } from '../text/format.ts';

/** How many connections a drain still waits for, and how long at most. */
export function DrainProgress({ drain }: { drain: NonNullable<ServerDetail['drain']> }) {
  const live = useContext(Live);
  const left = drain.remainingConnections;
  const [most, setMost] = useState(left);
  useEffect(() => setMost((before) => Math.max(before, left)), [left]);
  if (!live) return null;
  return (
    <span class="drain">
      <progress value={most - left} max={Math.max(1, most)} aria-label="Connections that have ended" />
      <span>
        {some(left, 'connection')} left, at most {ago(Date.parse(drain.deadline) - Date.now())} more
      </span>
    </span>
  );
}
