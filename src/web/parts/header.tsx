import { access, type Whoami } from '../access/access.ts';
import { ago } from '../text/format.ts';

interface HeaderProps {
  live: boolean;
  silentMs: number | null;
  revisions: { stored: number; reconciled: number } | undefined;
  pools: readonly string[];
  pool: string | undefined;
  addressOf(pool: string): string;
  who: Whoami | undefined;
}

/** Who speaks, whether it still does, and which pool is looked at. */
export function Header({ live, silentMs, revisions, pools, pool, addressOf, who }: HeaderProps) {
  return (
    <header>
      <h1>
        dsr-controller <span class={`pulse ${live ? 'live' : 'silent'}`} />
        <span class="soft">{live ? 'live' : silentMs === null ? 'not live' : `last seen ${ago(silentMs)} ago`}</span>
      </h1>
      {revisions && (
        <p class="soft">
          {revisions.stored === revisions.reconciled
            ? `revision ${revisions.stored} is in the kernel`
            : `revision ${revisions.stored} is stored, the kernel has ${revisions.reconciled}`}
        </p>
      )}
      {pools.length > 1 && (
        <nav aria-label="Pools">
          {pools.map((name) => (
            <a key={name} href={addressOf(name)} aria-current={name === pool ? 'page' : undefined}>
              {name}
            </a>
          ))}
        </nav>
      )}
      {who?.kind !== 'anybody' && (
        <p class="who">
          {who?.kind === 'key' && (
            <span class="soft">
              {who.name}, {who.role === 'viewer' ? 'who may look and change nothing' : 'administrator'}
            </span>
          )}
          {access.hasToken() && (
            <button type="button" onClick={access.signOut}>
              Sign out
            </button>
          )}
        </p>
      )}
    </header>
  );
}
