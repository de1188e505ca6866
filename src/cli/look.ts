import { type Client, Refusal } from './client.ts';
import { detailSchema, statusSchema } from './view/answers.ts';
import type { Look } from './view/status.ts';

/** Of more pools than this one look shows the summary alone. */
const mostPools = 50;

/** Reads the status: of one pool in full, or of all, in full while they are few. Answers what came too. */
export async function look(client: Client, pool?: string, timeoutMs?: number): Promise<Look & { raw: unknown }> {
  const time = timeoutMs === undefined ? {} : { timeoutMs };
  const detailOf = (name: string) => client.call('GET', 'v1/status', detailSchema, { query: { pool: name }, ...time });
  const { value: status, raw } = await client.call('GET', 'v1/status', statusSchema, time);
  if (pool !== undefined) {
    const { value, raw } = await detailOf(pool);
    return { status, details: new Map(Object.entries(value.pools)), raw };
  }
  const names = Object.keys(status.pools);
  if (names.length > mostPools) return { status, details: new Map(), raw };
  const answers = await Promise.all(names.map((name) => detailOf(name).catch(nothingIfGone)));
  const found = answers.flatMap((answer) => Object.entries(answer?.value.pools ?? {}));
  return { status, details: new Map(found), raw };
}

/** A pool may be deleted between two questions. */
function nothingIfGone(error: unknown): undefined {
  if (!(error instanceof Refusal) || error.status !== 404) throw error;
}
