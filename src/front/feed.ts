import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { Pool, request } from 'undici';
import { type FrontDesired, frontDesiredSchema } from '../handoff-schema.ts';
import { writeWhole } from '../store/whole-file.ts';

/** What the controller wants of the front, followed; the last word is kept on disk, so that the front needs no controller. */
export interface Feed {
  stop(): Promise<void>;
}

export interface FeedOptions {
  /** Its URL, or `unix:/path/of.sock`. */
  controller: string;
  stateDir: string;
  /** Told at once of what is on disk, and of each change. */
  changed(desired: FrontDesired): void;
  log: Record<'info' | 'warn', (keys: object, message: string) => void>;
}

const pollMs = 25_000;
const answerMs = 5000;
const retryMs = 500;

export function startFeed({ controller, stateDir, changed, log }: FeedOptions): Feed {
  const path = join(stateDir, 'front.json');
  const ending = new AbortController();
  const socketPath = /^unix:(\/.*)$/.exec(controller)?.[1];
  const origin = socketPath === undefined ? controller : 'http://controller';
  const dispatcher = new Pool(new URL(origin).origin, {
    connect: { timeout: answerMs, ...(socketPath !== undefined && { socketPath }) },
    headersTimeout: pollMs + answerMs,
    bodyTimeout: answerMs,
    connections: 1,
  });

  const ask = async (version: string | undefined): Promise<FrontDesired> => {
    const url = new URL('/v1/front', origin);
    url.searchParams.set('waitMs', String(pollMs));
    if (version !== undefined) url.searchParams.set('version', version);
    const { statusCode, body } = await request(url, { dispatcher, signal: ending.signal });
    const text = await body.text();
    if (statusCode !== 200) throw new Error(`it answered ${statusCode}: ${text.slice(0, 200)}`);
    return frontDesiredSchema.parse(JSON.parse(text));
  };

  const follow = async () => {
    let version = readKept(path, changed, log);
    let isSaved = true;
    let trouble = '';
    while (!ending.signal.aborted) {
      try {
        const desired = await ask(version);
        if (desired.version !== version) {
          changed(desired);
          version = desired.version;
          isSaved = false;
        }
        // What a full disk did not take is written at the next answer.
        if (!isSaved) await writeWhole(path, `${JSON.stringify(desired)}\n`, 0o600);
        isSaved = true;
        if (trouble) log.info({}, 'the controller is followed again');
        trouble = '';
      } catch (error) {
        if (ending.signal.aborted) return;
        const { message } = error as Error;
        if (message !== trouble)
          log.warn({ controller, reason: message }, 'the controller is not followed; what it said last holds');
        trouble = message;
        await sleep(retryMs, undefined, { signal: ending.signal }).catch(() => {});
      }
    }
  };
  const ended = follow();
  return {
    stop: async () => {
      ending.abort();
      await ended;
      await dispatcher.destroy();
    },
  };
}

/** Its version, or undefined where there is none that can be used. */
function readKept(path: string, changed: FeedOptions['changed'], log: FeedOptions['log']): string | undefined {
  try {
    const kept = frontDesiredSchema.parse(JSON.parse(readFileSync(path, 'utf8')));
    changed(kept);
    return kept.version;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT')
      log.warn({ path, err: error }, 'what the controller said last cannot be read: waiting for it');
    return undefined;
  }
}
