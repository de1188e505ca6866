import type { RefObject } from 'preact';
import type { Problem } from '../../schema.ts';
import { lineOf, rangeOf } from './json-path.ts';

interface FieldErrorsProps {
  problem: Problem;
  pool: string;
  /** It was to be made. */
  isNew: boolean;
  text: string;
  area: RefObject<HTMLTextAreaElement | null>;
}

const conflict = 'REVISION_MISMATCH';

/** What is wrong, field by field; each leads to its place in the text. */
export function FieldErrors({ problem, pool, isNew, text, area }: FieldErrorsProps) {
  const errors = problem.errors ?? [];
  if (errors.length === 0)
    return (
      <p class="alarm" role="alert">
        {problem.code !== conflict
          ? problem.detail
          : isNew
            ? `There is a pool of this name already: choose another name, or close this and edit that pool.`
            : `Somebody else changed this pool while you edited it, so nothing was saved: ${problem.detail}. Keep a copy of your text, close this, and edit it again.`}
      </p>
    );
  const show = (path: string) => {
    const range = rangeOf(text, path);
    if (!range || !area.current) return;
    area.current.focus();
    area.current.setSelectionRange(range.from, range.to);
  };
  return (
    <ul class="alarm" role="alert">
      {errors.map(({ path, message }) => {
        const inPool = path.startsWith(`pools.${pool}.`) ? path.slice(`pools.${pool}.`.length) : path;
        const range = rangeOf(text, inPool);
        return (
          <li key={`${path} ${message}`}>
            <button type="button" class="link" onClick={() => show(inPool)}>
              {inPool || 'the whole'}
              {range ? `, line ${lineOf(text, range.from)}` : ''}
            </button>{' '}
            {message}
          </li>
        );
      })}
    </ul>
  );
}
