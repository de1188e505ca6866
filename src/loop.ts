/** Runs `pass` whenever woken, one at a time; a wake carries no data, and many wakes before a pass are one. */
export interface Loop {
  wake(): void;
  /** Resolves when the pass that is under way has ended; none begins after. */
  stop(): Promise<void>;
}

/**
 * @param pass does one whole round and answers after how many milliseconds the next is due at the latest
 * @param failed told of a pass that threw, and whether the one before failed in the same words; it is tried again after
 *   `retryMs`
 */
export function startLoop(
  pass: () => Promise<number>,
  failed: (error: Error, again: boolean) => void,
  retryMs = 1000,
): Loop {
  let timer: NodeJS.Timeout | undefined;
  let running: Promise<void> | undefined;
  let again = false;
  let stopped = false;
  let failure: string | undefined;
  const run = async () => {
    if (stopped) return;
    clearTimeout(timer);
    again = false;
    let due = retryMs;
    try {
      due = await pass();
      failure = undefined;
    } catch (reason) {
      const error = reason instanceof Error ? reason : new Error(String(reason));
      failed(error, error.message === failure);
      failure = error.message;
    }
    running = undefined;
    if (stopped) return;
    if (again) wake();
    else timer = setTimeout(wake, due);
  };
  const wake = () => {
    if (stopped) return;
    if (running) again = true;
    else running = new Promise((resolve) => setImmediate(resolve)).then(run);
  };
  return {
    wake,
    stop: async () => {
      stopped = true;
      clearTimeout(timer);
      await running;
    },
  };
}

/** Wakes everybody who waits for the next change. */
export interface Signal {
  notify(): void;
  /** Resolves with true at the next {@link notify}, with false after `timeoutMs` or when one of `aborts` is aborted. */
  next(timeoutMs: number, ...aborts: AbortSignal[]): Promise<boolean>;
}

export function createSignal(): Signal {
  const waiting = new Set<(notified: boolean) => void>();
  return {
    notify: () => {
      for (const wake of [...waiting]) wake(true);
    },
    next: (timeoutMs, ...aborts) =>
      new Promise((resolve) => {
        const end = (notified: boolean) => {
          waiting.delete(end);
          clearTimeout(timer);
          for (const abort of aborts) abort.removeEventListener('abort', aborted);
          resolve(notified);
        };
        const aborted = () => end(false);
        const timer = setTimeout(end, timeoutMs, false);
        waiting.add(end);
        for (const abort of aborts) abort.addEventListener('abort', aborted);
        if (aborts.some((abort) => abort.aborted)) end(false);
      }),
  };
}

/** Waits until `condition` gives something, looking again at each notification. Undefined when the time is over. */
export async function until<T>(
  signal: Signal,
  condition: () => T | undefined,
  timeoutMs: number,
  ...aborts: AbortSignal[]
): Promise<T | undefined> {
  const end = performance.now() + timeoutMs;
  for (;;) {
    const result = condition();
    const left = end - performance.now();
    if (result !== undefined || left <= 0 || aborts.some((abort) => abort.aborted)) return result;
    await signal.next(left, ...aborts);
  }
}
