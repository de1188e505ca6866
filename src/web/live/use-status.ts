import { useEffect, useRef, useState } from 'preact/hooks';
import { emptyHistory, type History, withFigures } from './history.ts';
import type { PoolDetail, Status } from './status.ts';
import { openStream } from './stream.ts';

export interface Seen {
  status: Status | undefined;
  /** The pool that was asked for. */
  detail: PoolDetail | undefined;
  history: History;
  /** Counts the connections to the controller. */
  connection: number;
  /** How long ago the controller was heard of, milliseconds; null while it is heard of each second. */
  silentMs: number | null;
}

/** The stream tells something each second: after this silence nothing is shown as live. */
const liveMs = 3000;

/** Follows the status of the controller, in full for one pool. */
export function useStatus(pool: string | undefined): Seen {
  const [seen, setSeen] = useState<{ status: Status; of: string | undefined; at: number; history: History }>();
  // Odd while connected.
  const [turns, setTurns] = useState(0);
  const [now, setNow] = useState(() => performance.now());
  const started = useRef(performance.now());
  useEffect(() => {
    const stream = openStream({
      url: () => `/v1/status/stream${pool === undefined ? '' : `?pool=${encodeURIComponent(pool)}`}`,
      patienceMs: 5000,
      message: ({ event, data }) => {
        if (event !== 'status') return;
        const status = JSON.parse(data) as Status;
        const at = performance.now();
        setTurns((before) => before | 1);
        setNow(at);
        setSeen((before) => ({
          status,
          of: pool,
          at,
          history: nextHistory(before?.history ?? emptyHistory, status, at),
        }));
      },
      lost: () => setTurns((before) => before + (before & 1)),
    });
    return () => stream.close();
  }, [pool]);
  const lastAt = seen?.at ?? started.current;
  // While it is heard of, what it tells is what the page is drawn anew for.
  useEffect(() => {
    const look = () => {
      const at = performance.now();
      if (turns % 2 === 0 || at - lastAt >= liveMs) setNow(at);
    };
    const timer = setInterval(look, 1000);
    return () => clearInterval(timer);
  }, [turns, lastAt]);
  const silence = Math.max(0, now - lastAt);
  return {
    status: seen?.status,
    // For a moment after another pool was chosen, what was told is still of the one before.
    detail: seen?.of === pool ? seen?.status.detail : undefined,
    history: seen?.history ?? emptyHistory,
    connection: turns >> 1,
    silentMs: seen && turns % 2 === 1 && silence < liveMs ? null : silence,
  };
}

function nextHistory(history: History, { traffic }: Status, at: number): History {
  // A second message in the same second, as after choosing another pool, is no second of its own.
  if (history.at !== null && at - history.at < 500) return history;
  const { realServers, repliesMbit, director } = traffic;
  const hosts = new Map(Object.entries(realServers).map(([name, { txMbit }]) => [name, txMbit]));
  return withFigures(history, { replies: repliesMbit, director: director?.txMbit ?? null, hosts }, at);
}
