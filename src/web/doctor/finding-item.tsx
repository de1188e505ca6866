import type { HostFinding } from './doctor.tsx';

const levelWords: Record<HostFinding['level'], string> = {
  ok: 'Fine',
  warning: 'Warning',
  problem: 'Problem',
  unknown: 'Not known',
};

/** One thing that is not as it should be: what, why it matters, and what to type. */
export function FindingItem({ finding }: { finding: HostFinding }) {
  const { check, host, level, what, why, fix } = finding;
  return (
    <li>
      <strong class={level === 'problem' ? 'alarm' : ''}>{levelWords[level]}</strong> on {host}: {what}{' '}
      <span class="soft">({check})</span>
      <p class="soft">{why}</p>
      {fix.length > 0 && (
        // biome-ignore lint/a11y/noNoninteractiveTabindex: who has no mouse scrolls it with the keys
        <pre tabIndex={0}>{fix.join('\n')}</pre>
      )}
    </li>
  );
}
