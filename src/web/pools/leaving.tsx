import type { PoolDetail } from '../live/status.ts';
import { DrainProgress } from './drain-progress.tsx';

/** Real servers that the pool names no more, while their last connections end. */
export function Leaving({ leaving }: { leaving: PoolDetail['leaving'] }) {
  const going = leaving.filter(({ done }) => !done);
  if (going.length === 0) return null;
  return (
    <ul class="leaving" aria-label="Leaving the pool">
      {going.map((drain) => (
        <li key={drain.address}>
          <strong>{drain.realServer ?? drain.address}</strong> <span class="soft">leaves the pool</span>
          <DrainProgress drain={drain} />
        </li>
      ))}
    </ul>
  );
}
