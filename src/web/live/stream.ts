import { access } from '../access/access.ts';
import { createParser, type Message } from './sse.ts';

export interface StreamOptions {
  /** Asked at each connection: a stream that resumes says here where it was. */
  url(): string;
  message(message: Message): void;
  /** The connection ended, failed or fell silent; it is tried again. */
  lost(): void;
  /** Silence after which a connection counts as dead, milliseconds. */
  patienceMs: number;
}

const againMs = 1000;

/** Keeps a stream of server-sent events open while the page is seen. A hidden page keeps no connection. */
export function openStream(options: StreamOptions): { close(): void } {
  const closing = new AbortController();
  const run = async () => {
    while (!closing.signal.aborted) {
      await seen(closing.signal);
      await once(options, closing.signal).catch(() => {});
      if (closing.signal.aborted) return;
      options.lost();
      await pause(againMs, closing.signal);
    }
  };
  run();
  return { close: () => closing.abort() };
}

async function once(options: StreamOptions, closing: AbortSignal): Promise<void> {
  const ending = new AbortController();
  const end = () => ending.abort();
  const hidden = () => document.hidden && end();
  let timer = setTimeout(end, options.patienceMs);
  closing.addEventListener('abort', end);
  document.addEventListener('visibilitychange', hidden);
  try {
    const answer = await access.ask(options.url(), { headers: { accept: 'text/event-stream' }, signal: ending.signal });
    if (!answer.ok || !answer.body) return;
    const parse = createParser();
    const reader = answer.body.pipeThrough(new TextDecoderStream()).getReader();
    for (let part = await reader.read(); !part.done; part = await reader.read()) {
      clearTimeout(timer);
      timer = setTimeout(end, options.patienceMs);
      for (const message of parse(part.value)) options.message(message);
    }
  } finally {
    clearTimeout(timer);
    closing.removeEventListener('abort', end);
    document.removeEventListener('visibilitychange', hidden);
  }
}

function pause(ms: number, closing: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    setTimeout(resolve, ms);
    closing.addEventListener('abort', () => resolve());
  });
}

function seen(closing: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    const look = () => {
      if (document.hidden && !closing.aborted) return;
      document.removeEventListener('visibilitychange', look);
      resolve();
    };
    document.addEventListener('visibilitychange', look);
    closing.addEventListener('abort', look);
    look();
  });
}
