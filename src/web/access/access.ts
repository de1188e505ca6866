import type { Problem } from '../../schema.ts';

/** Who the controller takes the page for (GET /v1/whoami). */
export interface Whoami {
  kind: 'root' | 'anybody' | 'key';
  role: 'admin' | 'viewer' | null;
  name: string | null;
}

/** Whether somebody is signed in. */
export type Standing =
  | { state: 'asking' }
  /** `who` is unknown where the controller is away, or older than this page. */
  | { state: 'in'; who: Whoami | undefined }
  /** `left`: by their own will, so that nothing of what was shown stays. */
  | { state: 'out'; why: string; left: boolean };

/** The page's way to the API: all requests go through it, as whoever is signed in. */
export interface Access {
  standing(): Standing;
  /** Calls back at each change; answers how to end that. */
  watch(changed: () => void): () => void;
  /** Takes over a token of the page's address, if it has one, and finds out who it is. */
  begin(): Promise<void>;
  /** What is wrong with the token, in words; undefined when it is good. */
  signIn(token: string): Promise<string | undefined>;
  signOut(): void;
  hasToken(): boolean;
  /** As fetch does, with the token. While nobody is signed in nothing is sent: it waits. */
  ask(url: string, init: RequestInit & { signal: AbortSignal }): Promise<Response>;
}

const place = 'dsr-token';
const form = /^[\x21-\x7e]+$/;
const patienceMs = 10_000;

type Kept = Pick<Storage, 'getItem' | 'setItem' | 'removeItem'>;

/**
 * @param storage the tab's own (sessionStorage): it ends with the tab, so that no token stays behind on a machine that others
 *   use too, and no other tab has it. What localStorage keeps is there for good.
 */
function createAccess(storage: Kept): Access {
  let standing: Standing = { state: 'asking' };
  let requests = new AbortController();
  const watchers = new Set<() => void>();
  const become = (next: Standing) => {
    standing = next;
    for (const changed of [...watchers]) changed();
  };
  const watch: Access['watch'] = (changed) => {
    watchers.add(changed);
    return () => watchers.delete(changed);
  };
  const leave = (why: string, left = false) => {
    // Also a stream that is open ends: what it tells is not for this page any more.
    requests.abort();
    requests = new AbortController();
    become({ state: 'out', why, left });
  };
  const signedIn = (signal: AbortSignal) =>
    new Promise<void>((resolve, reject) => {
      const look = () => {
        if (standing.state !== 'in' && !signal.aborted) return;
        end();
        signal.removeEventListener('abort', look);
        if (signal.aborted) reject(signal.reason);
        else resolve();
      };
      const end = watch(look);
      signal.addEventListener('abort', look);
      look();
    });

  /** Asks who a token makes of the page; undefined where nobody answers. */
  const inquire = (token: string | null): Promise<Response | undefined> =>
    fetch('/v1/whoami', { headers: bearer(token), signal: AbortSignal.timeout(patienceMs) }).catch(() => undefined);
  const enter = async (answer: Response | undefined) =>
    become({ state: 'in', who: answer?.ok ? ((await answer.json()) as Whoami) : undefined });

  return {
    standing: () => standing,
    watch,
    begin: async () => {
      const given = takeFromAddress();
      if (given !== undefined) storage.setItem(place, given);
      else if (standing.state !== 'asking') return;
      const token = storage.getItem(place);
      const answer = await inquire(token);
      // Of anything else the page tells by itself, and a request that is refused ends up here again.
      if (answer?.status !== 401 && answer?.status !== 403) return enter(answer);
      leave(token === null ? '' : await detailOf(answer));
    },
    signIn: async (token) => {
      if (!form.test(token)) return 'this is no token: it is one word without spaces, such as dsr_…';
      const answer = await inquire(token);
      if (!answer) return 'the controller does not answer: try again when it is back';
      // Older controllers know nothing of this path, but do know who may ask.
      if (!answer.ok && answer.status !== 404) return detailOf(answer);
      storage.setItem(place, token);
      await enter(answer);
      return undefined;
    },
    signOut: () => {
      storage.removeItem(place);
      leave('', true);
    },
    hasToken: () => storage.getItem(place) !== null,
    ask: async (url, init) => {
      await signedIn(init.signal);
      const token = storage.getItem(place);
      const answer = await fetch(url, {
        ...init,
        headers: { ...init.headers, ...bearer(token) },
        signal: AbortSignal.any([init.signal, requests.signal]),
      });
      if (answer.status !== 401) return answer;
      // Read before all requests are ended, this one too.
      const whole = new Response(await answer.text(), answer);
      const why = token === null ? '' : await detailOf(whole.clone());
      // It may have been sent before somebody signed in anew.
      if (standing.state === 'in' && storage.getItem(place) === token) leave(why);
      return whole;
    },
  };
}

const bearer = (token: string | null): Record<string, string> =>
  token === null ? {} : { authorization: `Bearer ${token}` };

/** The first sentence: how to come by a token is on the page. */
async function detailOf(answer: Response): Promise<string> {
  const { detail } = (await answer.json().catch(() => ({}))) as Partial<Problem>;
  return detail?.split('. ')[0] ?? `the controller answered ${answer.status}`;
}

/** A link may bring the token behind its "#", which browsers send to nobody; it is out of the address before all else. */
function takeFromAddress(): string | undefined {
  if (!location.hash.startsWith('#token=')) return undefined;
  const token = location.hash.slice('#token='.length);
  history.replaceState(null, '', location.pathname + location.search);
  return form.test(token) ? token : undefined;
}

/** The tab's own storage; where the browser keeps none for this page, what is kept is gone with the next load. */
function storageOfTab(): Kept {
  try {
    return sessionStorage;
  } catch {
    const kept = new Map<string, string>();
    return {
      getItem: (key) => kept.get(key) ?? null,
      setItem: (key, value) => void kept.set(key, value),
      removeItem: (key) => void kept.delete(key),
    };
  }
}

/** The page's one: a request needs it wherever it is made. */
export const access: Access = createAccess(storageOfTab());
