import { createHmac } from 'node:crypto';
import { request } from 'undici';
import type { Event } from './schema.ts';
import type { Events } from './store/events.ts';

/** Where events go, and the secret that they are signed with. */
export interface Webhook {
  url: string;
  /** As Standard Webhooks writes it: "whsec_" and base64. */
  secret: string;
}

export interface WebhookOptions {
  webhooks: readonly Webhook[];
  events: Pick<Events, 'since' | 'added'>;
  log: Record<'warn' | 'error', (keys: object, message: string) => void>;
  now?: () => number;
  /** Before the second attempt; doubled with each further one, up to {@link longestMs}. */
  firstRetryMs?: number;
}

const attempts = 10;
const longestMs = 60_000;
const answerMs = 10_000;
const idleMs = 60_000;

/**
 * Posts each event from now on to each webhook, in order, signed as Standard Webhooks says (webhook-id, webhook-timestamp,
 * webhook-signature: v1 with HMAC-SHA256 of "id.timestamp.body"). An answer other than 2xx is tried again; what a webhook
 * does not take in ten attempts, or while a thousand newer ones came, is left out and told in the log.
 */
export function startWebhooks(options: WebhookOptions): { stop(): Promise<void> } {
  const ending = new AbortController();
  const running = options.webhooks.map((webhook) => deliver(webhook, options, ending.signal));
  return {
    stop: async () => {
      ending.abort();
      await Promise.all(running);
    },
  };
}

async function deliver(
  webhook: Webhook,
  { events, log, now = Date.now, firstRetryMs = 1000 }: WebhookOptions,
  ending: AbortSignal,
) {
  let last = events.since().at(-1)?.id;
  while (!ending.aborted) {
    const [event] = events.since(last);
    if (!event) {
      await events.added.next(idleMs, ending);
      continue;
    }
    if (last !== undefined && event.id > last + 1)
      log.warn(
        { url: webhook.url, lost: event.id - last - 1 },
        'a webhook was away for so long that events were left out',
      );
    let failure = await post(webhook, event, now(), ending);
    for (let attempt = 1; failure !== undefined && attempt < attempts && !ending.aborted; attempt++) {
      if (attempt === 1)
        log.warn({ url: webhook.url, reason: failure }, 'a webhook did not take an event, trying again');
      await pause(Math.min(longestMs, firstRetryMs * 2 ** (attempt - 1)), ending);
      if (!ending.aborted) failure = await post(webhook, event, now(), ending);
    }
    if (failure !== undefined && !ending.aborted)
      log.error(
        { url: webhook.url, reason: failure, event: event.id },
        'a webhook did not take an event; it is left out',
      );
    last = event.id;
  }
}

/** Answers why it was not taken, in words; undefined when it was. */
async function post(
  { url, secret }: Webhook,
  event: Event,
  now: number,
  ending: AbortSignal,
): Promise<string | undefined> {
  const body = JSON.stringify({ type: event.type, timestamp: event.time, data: event });
  const id = `dsr-${event.id}`;
  const timestamp = String(Math.floor(now / 1000));
  try {
    const { statusCode, body: answer } = await request(url, {
      method: 'POST',
      headers: {
        'content-type': 'application/json',
        'webhook-id': id,
        'webhook-timestamp': timestamp,
        'webhook-signature': signature(secret, `${id}.${timestamp}.${body}`),
      },
      body,
      signal: AbortSignal.any([ending, AbortSignal.timeout(answerMs)]),
    });
    await answer.dump();
    return statusCode >= 200 && statusCode < 300 ? undefined : `it answered ${statusCode}`;
  } catch (error) {
    return (error as Error).message;
  }
}

function signature(secret: string, text: string): string {
  const key = Buffer.from(secret.slice('whsec_'.length), 'base64');
  return `v1,${createHmac('sha256', key).update(text).digest('base64')}`;
}

const pause = (ms: number, ending: AbortSignal): Promise<void> =>
  new Promise((resolve) => {
    const end = () => {
      clearTimeout(timer);
      ending.removeEventListener('abort', end);
      resolve();
    };
    const timer = setTimeout(end, ms);
    ending.addEventListener('abort', end);
  });
