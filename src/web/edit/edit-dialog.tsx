import { useEffect, useRef, useState } from 'preact/hooks';
import type { Pool, Problem } from '../../schema.ts';
import { asProblem, call } from '../api/call.ts';
import type { PoolsDocument } from '../live/use-pools.ts';
import { Dialog } from '../parts/dialog.tsx';
import { FieldErrors } from './field-errors.tsx';
import { parsePoolText } from './parse.ts';
import { Plan } from './plan.tsx';

/** A pool as JSON: see what a change would do, then save it unless somebody else was faster. */
export function EditDialog({ name, close }: { name: string; close(): void }) {
  const [text, setText] = useState('');
  const [etag, setEtag] = useState<string | null>(null);
  const [commands, setCommands] = useState<readonly string[]>();
  const [problem, setProblem] = useState<Problem>();
  const [busy, setBusy] = useState(true);
  const area = useRef<HTMLTextAreaElement>(null);
  const url = `/v1/pools/${name}`;
  const attempt = async (work: () => Promise<void>) => {
    setBusy(true);
    setProblem(undefined);
    try {
      await work();
    } catch (error) {
      setProblem(asProblem(error));
    }
    setBusy(false);
  };
  useEffect(() => {
    attempt(async () => {
      const answer = await call<Pool>('GET', url);
      setText(JSON.stringify(answer.body, undefined, 2));
      setEtag(answer.etag);
      area.current?.focus();
      area.current?.setSelectionRange(0, 0);
    });
  }, []);
  const preview = () =>
    attempt(async () => {
      setCommands(undefined);
      const pool = parsePoolText(text);
      const { body } = await call<PoolsDocument>('GET', '/v1/pools');
      const plan = await call<{ steps: { command: string }[] }>('POST', '/v1/plan', {
        pools: { ...body.pools, [name]: pool },
      });
      setCommands(plan.body.steps.map(({ command }) => command));
    });
  const save = () =>
    attempt(async () => {
      await call('PUT', url, parsePoolText(text), etag === null ? {} : { 'if-match': etag });
      close();
    });
  return (
    <Dialog title={`Edit pool ${name}`} close={close} wide>
      <label class="unseen" for="pool-text">
        Pool {name} as JSON
      </label>
      <textarea
        id="pool-text"
        ref={area}
        spellcheck={false}
        autocomplete="off"
        value={text}
        aria-invalid={problem ? 'true' : undefined}
        aria-describedby="pool-errors"
        onInput={(event) => {
          setText(event.currentTarget.value);
          setCommands(undefined);
        }}
      />
      <div id="pool-errors">{problem && <FieldErrors problem={problem} pool={name} text={text} area={area} />}</div>
      {commands && <Plan commands={commands} />}
      <p class="buttons">
        <button type="button" onClick={close}>
          Cancel
        </button>
        <button type="button" disabled={busy} onClick={preview}>
          Preview the steps
        </button>
        <button type="button" class="main" disabled={busy} onClick={save}>
          Save pool {name}
        </button>
      </p>
    </Dialog>
  );
}
