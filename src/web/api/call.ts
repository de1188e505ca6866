import type { Problem } from '../../schema.ts';
import { access } from '../access/access.ts';

/** An answer that is no: what the API said of it. */
export class Refused extends Error {
  readonly problem: Problem;

  constructor(problem: Problem) {
    super(problem.detail);
    this.problem = problem;
  }
}

export interface Answer<T> {
  body: T;
  etag: string | null;
}

const patienceMs = 20_000;

/** Asks the API. Throws Refused with its problem, or with one made here when it cannot be reached. */
export async function call<T>(
  method: string,
  url: string,
  body?: unknown,
  headers: Record<string, string> = {},
): Promise<Answer<T>> {
  const type = method === 'PATCH' ? 'application/merge-patch+json' : 'application/json';
  const answer = await access
    .ask(url, {
      method,
      headers: { ...(body !== undefined && { 'content-type': type }), ...headers },
      ...(body !== undefined && { body: JSON.stringify(body) }),
      signal: AbortSignal.timeout(patienceMs),
    })
    .catch(() => {
      throw new Refused(unreachable);
    });
  if (!answer.ok) throw new Refused(await problemOf(answer));
  return { body: (await answer.json()) as T, etag: answer.headers.get('etag') };
}

const unreachable: Problem = {
  type: 'about:blank',
  title: 'No answer',
  status: 0,
  code: 'UNREACHABLE',
  detail: 'the controller does not answer; nothing is known to have changed. Try again when it is back',
};

/** The problem that an answer carries (RFC 9457), or one that says what came instead. */
export async function problemOf(answer: Response): Promise<Problem> {
  const { status, statusText } = answer;
  const found = (await answer.json().catch(() => ({}))) as Partial<Problem>;
  return {
    type: 'about:blank',
    title: statusText,
    status,
    code: 'UNKNOWN',
    detail: `the controller answered ${status} ${statusText}`,
    ...found,
  };
}

/** What went wrong, as a problem. */
export const asProblem = (error: unknown): Problem =>
  error instanceof Refused ? error.problem : { ...unreachable, code: 'UNKNOWN', detail: String(error) };
