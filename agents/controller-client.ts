import { Pool, request } from 'undici';
import { z } from 'zod';
import { CodedError } from '../src/errors.ts';
import {
  type AgentDesired,
  agentDesiredSchema,
  type Report,
  type ReportAnswer,
  reportAnswerSchema,
} from '../src/schema.ts';
import type { Credentials } from './credentials.ts';

/** The agent's calls to the controller. Each throws CodedError CONTROLLER when it cannot be reached or refuses. */
export interface ControllerClient {
  /** What this host must look like; waits until it differs from `revision` (long poll). */
  desired(revision: number | undefined, abort: AbortSignal): Promise<AgentDesired>;
  /** Answers what the director still has for this host. */
  report(report: Report): Promise<ReportAnswer>;
  /** Takes a new token in place of the present one. */
  renew(): Promise<void>;
  close(): Promise<void>;
}

const tokenSchema = z.object({ token: z.string(), expiresInSeconds: z.number().nullable() });
const pollMs = 25_000;
const answerMs = 5_000;

export function connectController(
  base: string,
  name: string,
  credentials: Credentials,
  machineId: string,
): ControllerClient {
  const connect = (ca: string | undefined) =>
    new Pool(new URL(base).origin, {
      connect: { timeout: answerMs, ...(ca !== undefined && { ca }) },
      headersTimeout: pollMs + answerMs,
      bodyTimeout: answerMs,
      connections: 2,
    });
  let { ca: trusted } = credentials.current();
  let connections = connect(trusted);
  /** To an authority that is trusted now. */
  const dispatcher = () => {
    const { ca } = credentials.current();
    if (ca === trusted) return connections;
    connections.destroy();
    trusted = ca;
    connections = connect(ca);
    return connections;
  };
  const url = (path: string) => new URL(`v1/agents/${name}/${path}`, base.endsWith('/') ? base : `${base}/`);

  const call = async (what: string, target: URL, options: Parameters<typeof request>[1] = {}): Promise<unknown> => {
    try {
      const { token } = credentials.current();
      const headers = { ...options.headers, ...(token !== undefined && { authorization: `Bearer ${token}` }) };
      const { statusCode, body } = await request(target, { dispatcher: dispatcher(), ...options, headers });
      const text = await body.text();
      if (statusCode === 200) return JSON.parse(text);
      if (statusCode === 401) credentials.refused();
      throw new Error(`it answered ${statusCode}: ${detailOf(text)}`);
    } catch (error) {
      throw new CodedError('CONTROLLER', `${what} ${base}: ${(error as Error).message}`, 1, { cause: error });
    }
  };

  return {
    desired: async (revision, signal) => {
      const target = url('desired');
      target.searchParams.set('waitMs', String(pollMs));
      target.searchParams.set('machineId', machineId);
      if (revision !== undefined) target.searchParams.set('revision', String(revision));
      const answer = agentDesiredSchema.safeParse(await call('asking the controller', target, { signal }));
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
        headers: { 'content-type': 'application/json' },
        body,
        signal: AbortSignal.timeout(answerMs),
      });
      return reportAnswerSchema.parse(answer);
    },
    renew: async () => {
      const made = await call('asking for a new token', url('token'), {
        method: 'POST',
        headers: { 'content-type': 'application/json' },
        body: JSON.stringify({ machineId }),
        signal: AbortSignal.timeout(answerMs),
      });
      await credentials.renewed(tokenSchema.parse(made));
    },
    close: () => connections.destroy(),
  };
}

function detailOf(text: string): string {
  try {
    return String((JSON.parse(text) as { detail?: unknown }).detail ?? text.slice(0, 200));
  } catch {
    return text.slice(0, 200);
  }
}
