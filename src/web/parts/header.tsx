import { ago } from '../text/format.ts';

interface HeaderProps {
  silentMs: number | null;
  revisions: { stored: number; reconciled: number } | undefined;
  pools: readonly string[];
  pool: string | undefined;
  addressOf(pool: string): string;
}

/** Who speaks, whether it still does, and which pool is looked at. */
export function Header({ silentMs, revisions, pools, pool, addressOf }: HeaderProps) {
  return (
    <header>
      <h1>
        dsr-controller <span class={`pulse ${silentMs === null ? 'live' : 'silent'}`} />
        <span class="soft">{silentMs === null ? 'live' : `last seen ${ago(silentMs)} ago`}</span>
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
    </header>
  );
}
