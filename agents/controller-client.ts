import { Pool, request } from 'undici';
import { CodedError } from '../src/errors.ts';
import {
  type AgentDesired,
  agentDesiredSchema,
  type Report,
  type ReportAnswer,
  reportAnswerSchema,
} from '../src/schema.ts';

/** The agent's calls to the controller. Each throws CodedError CONTROLLER when it cannot be reached or refuses. */
export interface ControllerClient {
  /** What this host must look like; waits until it differs from `revision` (long poll). */
  desired(revision: number | undefined, abort: AbortSignal): Promise<AgentDesired>;
  /** Answers what the director still has for this host. */
  report(report: Report): Promise<ReportAnswer>;
  close(): Promise<void>;
}

const pollMs = 25_000;
const answerMs = 5_000;

export function connectController(base: string, name: string, token: string | undefined): ControllerClient {
  const dispatcher = new Pool(new URL(base).origin, {
    connect: { timeout: answerMs },
    headersTimeout: pollMs + answerMs,
    bodyTimeout: answerMs,
    connections: 2,
  });
  const headers = token === undefined ? {} : { authorization: `Bearer ${token}` };
  const url = (path: string) => new URL(`v1/agents/${name}/${path}`, base.endsWith('/') ? base : `${base}/`);

  const call = async (what: string, target: URL, options: Parameters<typeof request>[1]): Promise<unknown> => {
    try {
      const { statusCode, body } = await request(target, { dispatcher, ...options });
      const text = await body.text();
      if (statusCode === 200) return JSON.parse(text);
      throw new Error(`it answered ${statusCode}: ${detailOf(text)}`);
    } catch (error) {
      throw new CodedError('CONTROLLER', `${what} ${base}: ${(error as Error).message}`, 1, { cause: error });
    }
  };

  return {
    desired: async (revision, signal) => {
      const target = url('desired');
      target.searchParams.set('waitMs', String(pollMs));
      if (revision !== undefined) target.searchParams.set('revision', String(revision));
      const answer = agentDesiredSchema.safeParse(await call('asking the controller', target, { signal, headers }));
      if (!answer.success)
        throw new CodedError(
          'CONTROLLER',
          `the controller ${base} speaks another protocol; install the same version on both`,
        );
      return answer.data;
    },
    report: async (report) => {
      const body = JSON.stringify(report);
      const answer = await call('reporting to the controller', url('report'), {
        method: 'POST',
        headers: { ...headers, 'content-type': 'application/json' },
        body,
        signal: AbortSignal.timeout(answerMs),
      });
      return reportAnswerSchema.parse(answer);
    },
    close: () => dispatcher.destroy(),
  };
}

function detailOf(text: string): string {
  try {
    return String((JSON.parse(text) as { detail?: unknown }).detail ?? text.slice(0, 200));
  } catch {
    return text.slice(0, 200);
  }
}
