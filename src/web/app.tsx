import { useRef } from 'preact/hooks';
import type { Whoami } from './access/access.ts';
import { SignInDialog, SignInPage } from './access/sign-in.tsx';
import { useStanding } from './access/use-standing.ts';
import { Dashboard } from './dashboard.tsx';

/** The whole page. */
export function App() {
  const standing = useStanding();
  const last = useRef<{ who: Whoami | undefined } | undefined>(undefined);
  if (standing.state === 'asking') return null;
  if (standing.state === 'in') last.current = { who: standing.who };
  else if (standing.left) last.current = undefined;
  if (!last.current) return <SignInPage why={standing.state === 'out' ? standing.why : ''} />;
  return (
    <>
      <Dashboard who={last.current.who} signedIn={standing.state === 'in'} />
      {/* What somebody was about to do is still there when they are back. */}
      {standing.state === 'out' && <SignInDialog why={standing.why} />}
    </>
  );
}
