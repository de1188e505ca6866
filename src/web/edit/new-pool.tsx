import { useContext, useState } from 'preact/hooks';
import { MayChange } from '../access/may-change.ts';
import { Live } from '../parts/live.ts';
import { EditDialog } from './edit-dialog.tsx';

/** The button that makes a pool. */
export function NewPool() {
  const [open, setOpen] = useState(false);
  const live = useContext(Live);
  if (!useContext(MayChange)) return null;
  return (
    <>
      <button type="button" disabled={!live} onClick={() => setOpen(true)}>
        New pool
      </button>
      {open && <EditDialog close={() => setOpen(false)} />}
    </>
  );
}
