import { useEffect, useRef, useState } from 'preact/hooks';
import type { Pool, Problem } from '../../schema.ts';
import { asProblem, call } from '../api/call.ts';
import type { PoolsDocument } from '../live/use-pools.ts';
import { Dialog } from '../parts/dialog.tsx';
import { FieldErrors } from './field-errors.tsx';
import { parsePoolText } from './parse.ts';
import { Plan } from './plan.tsx';

/** What a new pool may look like; addresses of networks that nobody has (RFC 5737). */
const example = {
  vip: '192.0.2.100',
  ports: { '80/tcp': { policy: 'real-servers' } },
  realServers: { rs1: { address: '192.0.2.11' }, rs2: { address: '192.0.2.12' } },
};

const asText = (pool: unknown) => JSON.stringify(pool, undefined, 2);

interface EditDialogProps {
  /** Of the pool; absent for a new one. */
  pool?: string;
  close(): void;
}

/** A pool as JSON: see what a change would do, then save it unless somebody else was faster. */
export function EditDialog({ pool: existing, close }: EditDialogProps) {
  const [name, setName] = useState(existing ?? '');
  const [text, setText] = useState(existing === undefined ? asText(example) : '');
  const [etag, setEtag] = useState<string | null>(null);
  const [commands, setCommands] = useState<readonly string[]>();
  const [problem, setProblem] = useState<Problem>();
  const [busy, setBusy] = useState(existing !== undefined);
  const area = useRef<HTMLTextAreaElement>(null);
  const url = `/v1/pools/${encodeURIComponent(name)}`;
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
    if (existing === undefined) return;
    attempt(async () => {
      const answer = await call<Pool>('GET', url);
      setText(asText(answer.body));
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
      const unlessChanged =
        existing === undefined ? { 'if-none-match': '*' } : etag === null ? {} : { 'if-match': etag };
      await call('PUT', url, parsePoolText(text), unlessChanged);
      close();
    });
  return (
    <Dialog title={existing === undefined ? 'New pool' : `Edit pool ${name}`} close={close} wide>
      {existing === undefined && (
        <p>
          <label for="pool-name">Name</label>{' '}
          <input
            id="pool-name"
            value={name}
            autocomplete="off"
            spellcheck={false}
            placeholder="web"
            onInput={(event) => setName(event.currentTarget.value)}
          />
        </p>
      )}
      <label class={existing === undefined ? '' : 'unseen'} for="pool-text">
        {existing === undefined ? 'Virtual address, ports and real servers, as JSON' : `Pool ${name} as JSON`}
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
      <div id="pool-errors">
        {problem && (
          <FieldErrors problem={problem} pool={name} isNew={existing === undefined} text={text} area={area} />
        )}
      </div>
      {commands && <Plan commands={commands} />}
      <p class="buttons">
        <button type="button" onClick={close}>
          Cancel
        </button>
        <button type="button" disabled={busy || name === ''} onClick={preview}>
          Preview the steps
        </button>
        <button type="button" class="main" disabled={busy || name === ''} onClick={save}>
          Save pool {name}
        </button>
      </p>
    </Dialog>
  );
}
