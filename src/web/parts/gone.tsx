import { ago } from '../text/format.ts';

/** Said while the controller is silent. Its text is announced once; the time runs on silently. */
export function Gone({ silentMs, everSeen }: { silentMs: number; everSeen: boolean }) {
  if (!everSeen && silentMs < 2000) return null;
  return (
    <div class="banner">
      <div>
        {' '}
        <p role="alert">
          <strong>The controller is not heard of.</strong> Traffic does not depend on it: the kernel goes on forwarding
          with the weights it has. This page tries again by itself. If it stays away, look at the controller on the
          director: <code>journalctl -u dsr-controller</code>.
        </p>
        <p class="soft">{everSeen ? `Last seen ${ago(silentMs)} ago; what is below is from then.` : 'Not seen yet.'}</p>
      </div>
    </div>
  );
}
