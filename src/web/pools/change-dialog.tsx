import { useState } from 'preact/hooks';
import type { Problem } from '../../schema.ts';
import { asProblem, call } from '../api/call.ts';
import type { PoolDetail } from '../live/status.ts';
import { Dialog } from '../parts/dialog.tsx';
import { ProblemText } from '../parts/problem.tsx';
import { type Change, changeWords } from './change-words.ts';

interface ChangeDialogProps {
  pool: string;
  change: Change;
  detail: PoolDetail;
  close(): void;
}

const deadlines = [
  [10_000, '10 seconds'],
  [30_000, '30 seconds'],
  [300_000, '5 minutes'],
  [3_600_000, '1 hour'],
] as const;

/** Asks before a real server is drained, kept out or brought back: what will happen, in words. */
export function ChangeDialog({ pool, change, detail, close }: ChangeDialogProps) {
  const [drainMs, setDrainMs] = useState(30_000);
  const [busy, setBusy] = useState(false);
  const [problem, setProblem] = useState<Problem>();
  const { name, state } = change;
  const { title, text, warning, verb } = changeWords(change, detail);
  const confirm = async () => {
    setBusy(true);
    setProblem(undefined);
    const query = state === 'active' ? '' : `?drainMs=${drainMs}`;
    try {
      await call('PATCH', `/v1/pools/${pool}/real-servers/${name}${query}`, { state });
      close();
    } catch (error) {
      setProblem(asProblem(error));
      setBusy(false);
    }
  };
  return (
    <Dialog title={title} close={close}>
      <p>{text}</p>
      {warning && <p class="alarm">{warning}</p>}
      {state !== 'active' && (
        <label>
          Connections may go on for{' '}
          <select value={drainMs} onChange={(event) => setDrainMs(Number(event.currentTarget.value))}>
            {deadlines.map(([ms, words]) => (
              <option key={ms} value={ms}>
                {words}
              </option>
            ))}
          </select>
        </label>
      )}
      {problem && <ProblemText problem={problem} />}
      <p class="buttons">
        <button type="button" onClick={close}>
          Cancel
        </button>
        <button type="button" class="main" disabled={busy} onClick={confirm}>
          {verb}
        </button>
      </p>
    </Dialog>
  );
}
