import { useEffect, useId, useLayoutEffect, useRef, useState } from 'preact/hooks';
import { usePageTitle } from '../parts/use-page-title.ts';
import { access } from './access.ts';

interface SignInProps {
  /** Why a token that was good, or was given, is not; '' where there was none. */
  why: string;
}

/** The page of somebody who has not signed in. */
export function SignInPage({ why }: SignInProps) {
  usePageTitle('sign in');
  return (
    <main class="sign-in">
      <h1>dsr-controller</h1>
      <h2>Sign in</h2>
      <SignInForm why={why} />
    </main>
  );
}

/** Over the page of somebody whose token ended while it was open. It stays until they sign in or out. */
export function SignInDialog({ why }: SignInProps) {
  const dialog = useRef<HTMLDialogElement>(null);
  const id = useId();
  const show = () => dialog.current?.showModal();
  useLayoutEffect(() => {
    show();
    return () => dialog.current?.close();
  }, []);
  return (
    <dialog
      ref={dialog}
      class="sign-in"
      aria-labelledby={id}
      onCancel={(event) => event.preventDefault()}
      onClose={show}
    >
      <h2 id={id}>Sign in again</h2>
      <p>Nothing below is live until then, and what you were about to do is not lost.</p>
      <SignInForm why={why} />
      <p class="buttons">
        <button type="button" onClick={access.signOut}>
          Sign out
        </button>
      </p>
    </dialog>
  );
}

function SignInForm({ why }: SignInProps) {
  const [wrong, setWrong] = useState(why);
  const [busy, setBusy] = useState(false);
  const [shown, setShown] = useState(false);
  // The token itself is nowhere but in the field.
  const field = useRef<HTMLInputElement>(null);
  const ids = useId();
  useEffect(() => field.current?.focus(), []);
  const submit = async (event: Event) => {
    event.preventDefault();
    setBusy(true);
    const problem = await access.signIn(field.current?.value.trim() ?? '');
    setBusy(false);
    if (problem === undefined) return;
    setWrong(problem);
    field.current?.focus();
    field.current?.select();
  };
  return (
    <form onSubmit={submit}>
      <label for={`${ids}token`}>Token</label>
      <p class="field">
        <input
          id={`${ids}token`}
          ref={field}
          {...(shown ? { type: 'text' as const } : { type: 'password' as const })}
          required
          autocomplete="off"
          autocapitalize="off"
          spellcheck={false}
          aria-invalid={wrong ? 'true' : undefined}
          aria-describedby={`${ids}wrong ${ids}how`}
        />
        <button type="button" aria-pressed={shown} onClick={() => setShown(!shown)}>
          Show<span class="unseen"> the token</span>
        </button>
        <button type="submit" class="main" disabled={busy}>
          Sign in
        </button>
      </p>
      <p id={`${ids}wrong`} class="alarm" role="alert">
        {wrong}
      </p>
      <div id={`${ids}how`} class="soft">
        <p>To make a token, as root on the director:</p>
        <pre>dsrctl token create --role viewer --name NAME</pre>
        <p>
          <code>--role admin</code> may change things too. The first administrator's token is in{' '}
          <code>/var/lib/dsr/admin-token</code>. What you sign in with is kept until this tab is closed.
        </p>
      </div>
    </form>
  );
}
