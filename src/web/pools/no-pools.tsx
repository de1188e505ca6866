import { useContext } from 'preact/hooks';
import { MayChange } from '../access/may-change.ts';
import { NewPool } from '../edit/new-pool.tsx';

/** Before the first pool: what it is, and how to make it. */
export function NoPools() {
  return (
    <section aria-labelledby="first">
      <h2 id="first">No pool yet</h2>
      <p>
        A pool is a virtual address, its ports, and the real servers that answer there.
        {useContext(MayChange) && ' Make the first one:'}
      </p>
      <NewPool />
    </section>
  );
}
