import { useContext, useState } from 'preact/hooks';
import { Live } from '../parts/live.ts';
import { EditDialog } from './edit-dialog.tsx';

/** The button that makes a pool. */
export function NewPool() {
  const [open, setOpen] = useState(false);
  return (
    <>
      <button type="button" disabled={!useContext(Live)} onClick={() => setOpen(true)}>
        New pool
      </button>
      {open && <EditDialog close={() => setOpen(false)} />}
    </>
  );
}
