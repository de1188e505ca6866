import { setTimeout as sleep } from 'node:timers/promises';
import { CodedError } from '../../errors.ts';
import type { Cli } from '../cli.ts';
import { Refusal } from '../client.ts';
import { openLines } from '../io.ts';
import { detailSchema, type PoolDetail } from '../view/answers.ts';
import { type Progress, progressLine } from '../view/progress.ts';
import { connectionsOf } from '../view/status.ts';

/** What a drain came to. */
export interface Outcome {
  pool: string;
  /** Connections that were left at the deadline. */
  cut: number;
  /** Somebody cancelled it. */
  returned: boolean;
}

type Found = { kind: 'draining'; remaining: number; deadline: number } | { kind: 'done' } | { kind: 'returned' };

const lookMs = 250;
/** The controller looks at its kernel about every second; beyond that it does not get on with it. */
const graceMs = 30_000;

/**
 * Reads where the drains of one real server begin, before they do; what it answers follows them to their ends.
 * @param drainMs how long they are given
 */
export async function watchDrains(cli: Cli, server: string, pools: readonly string[], drainMs: number) {
  const drains: (Progress & { pool: string; outcome: Outcome | undefined })[] = [];
  for (const pool of pools) {
    const before = (await detailOf(cli, pool))?.realServers[server];
    const remaining = before ? (before.drain?.remainingConnections ?? connectionsOf(before)) : 0;
    drains.push({ pool, name: `${pool}/${server}`, most: remaining, remaining, leftMs: drainMs, outcome: undefined });
  }

  return async (): Promise<Outcome[]> => {
    const { io, json, note } = cli;
    const screen = json ? undefined : openLines(io);
    let end = Date.now() + drainMs + graceMs;
    const bar = io.stdout.isTTY === true;
    let before = '';
    let away = false;
    for (;;) {
      for (const drain of drains.filter(({ outcome }) => !outcome)) {
        let detail: PoolDetail | undefined;
        try {
          detail = await detailOf(cli, drain.pool);
          if (away) note('the controller is back');
          away = false;
        } catch (error) {
          // The drain goes on in the kernel meanwhile.
          if (io.stop.aborted || error instanceof Refusal || Date.now() > end) throw error;
          if (!away) note((error as Error).message);
          away = true;
          break;
        }
        const found = find(detail, server);
        if (found.kind === 'draining') {
          drain.remaining = found.remaining;
          drain.most = Math.max(drain.most, found.remaining);
          drain.leftMs = found.deadline - Date.now();
          // One that was under way keeps its own deadline.
          end = Math.max(end, found.deadline + graceMs);
        } else
          drain.outcome = {
            pool: drain.pool,
            cut: found.kind === 'done' ? drain.remaining : 0,
            returned: found.kind === 'returned',
          };
      }
      const going = drains.filter(({ outcome }) => !outcome);
      const told = drains.map(({ remaining, outcome }) => `${remaining} ${outcome !== undefined}`).join();
      // A log is told what changed; only on a terminal does the time run.
      if (bar || told !== before)
        screen?.draw(drains.map((drain) => progressLine(drain.outcome ? { ...drain, remaining: 0 } : drain, bar)));
      before = told;
      if (going.length === 0) return drains.flatMap(({ outcome }) => outcome ?? []);
      if (Date.now() > end)
        throw new CodedError(
          'DRAIN',
          `the deadline passed, and the controller has not taken out ${going.map(({ name }) => name).join(', ')}; dsrctl status says why`,
        );
      await sleep(lookMs, undefined, { signal: io.stop });
    }
  };
}

/** A pool in full; undefined when there is none any more. */
async function detailOf({ client }: Cli, pool: string): Promise<PoolDetail | undefined> {
  try {
    const { value } = await client.call('GET', 'v1/status', detailSchema, { query: { pool } });
    return value.pools[pool];
  } catch (error) {
    if (error instanceof Refusal && error.status === 404) return undefined;
    throw error;
  }
}

/** How far the drain of a real server is, which may have been deleted meanwhile. */
function find(detail: PoolDetail | undefined, server: string): Found {
  const member = detail && Object.hasOwn(detail.realServers, server) ? detail.realServers[server] : undefined;
  if (member && member.desired.state === 'active') return { kind: 'returned' };
  const drain = member?.drain ?? detail?.leaving.find(({ realServer }) => realServer === server);
  if (!drain || drain.done) return { kind: 'done' };
  return { kind: 'draining', remaining: drain.remainingConnections, deadline: Date.parse(drain.deadline) };
}
