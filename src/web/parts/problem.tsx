import type { Problem } from '../../schema.ts';

/** What the API refused, in its own words. */
export function ProblemText({ problem }: { problem: Problem }) {
  return (
    <p class="alarm" role="alert">
      {problem.detail}
    </p>
  );
}
