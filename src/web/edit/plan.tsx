import { some } from '../text/format.ts';

/** What the director would do, as the lines a person would type. */
export function Plan({ commands }: { commands: readonly string[] }) {
  if (commands.length === 0) return <p role="status">Nothing to do: the director's kernel has it so already.</p>;
  return (
    <div role="status">
      <p>{some(commands.length, 'step')} on the director, equivalent to:</p>
      {/* biome-ignore lint/a11y/noNoninteractiveTabindex: who has no mouse scrolls it with the keys */}
      <pre tabIndex={0}>{commands.join('\n')}</pre>
    </div>
  );
}
