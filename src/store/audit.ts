import { existsSync, readFileSync, renameSync, statSync } from 'node:fs';
import { mkdir, open } from 'node:fs/promises';
import { dirname } from 'node:path';

/** Who did what, from where. */
export interface AuditEntry {
  /** RFC 3339, UTC. */
  time: string;
  who: string;
  /** Address that it came from; null over the Unix socket. */
  from: string | null;
  what: string;
  /** HTTP status of the answer. */
  status: number;
  before?: unknown;
  after?: unknown;
  /** Why it was refused. */
  reason?: string;
}

/** What was changed and what was refused; a file that only grows, one JSON object a line. */
export interface Audit {
  /** Resolves when it is on disk, also when it could not be written: then `failed` was told. */
  add(entry: Omit<AuditEntry, 'time'>): Promise<void>;
  /** The newest, oldest first. */
  last(count: number): AuditEntry[];
  /** Resolves when all that was added is on disk. */
  stop(): Promise<void>;
}

export interface AuditOptions {
  path: string;
  failed: (error: Error) => void;
  /** The file is set aside as PATH.1 beyond this size; bytes. */
  most?: number;
  now?: () => number;
}

/** Older files that are kept, besides the present one. */
const older = 4;
const remembered = 1000;
/** Of what was before and after, characters of JSON. */
const longest = 20_000;

export function openAudit({ path, failed, most = 16 * 1024 * 1024, now = Date.now }: AuditOptions): Audit {
  const text = read(path);
  const entries = entriesOf(text).slice(-remembered).map(short);
  // What a crash or a full disk cut off stays a line of its own.
  let torn = text !== '' && !text.endsWith('\n');
  let queue: Promise<void> = Promise.resolve();
  const write = async (line: string) => {
    await mkdir(dirname(path), { recursive: true, mode: 0o700 });
    if (existsSync(path) && statSync(path).size > most) {
      setAside(path);
      torn = false;
    }
    const file = await open(path, 'a', 0o600);
    const start = torn ? '\n' : '';
    try {
      torn = true;
      await file.appendFile(`${start}${line}\n`);
      torn = false;
      await file.sync();
    } finally {
      await file.close();
    }
  };
  return {
    add: (entry) => {
      const whole = { time: new Date(now()).toISOString(), ...entry };
      entries.push(short(whole));
      if (entries.length > remembered) entries.shift();
      queue = queue.then(() => write(JSON.stringify(whole))).catch(failed);
      return queue;
    },
    stop: () => queue,
    last: (count) => (count === 0 ? [] : entries.slice(-count)),
  };
}

/** As it is kept in memory: what is very long is in the file alone. */
function short(entry: AuditEntry): AuditEntry {
  const { before, after, ...rest } = entry;
  return (JSON.stringify([before, after])?.length ?? 0) > longest ? rest : entry;
}

function setAside(path: string): void {
  for (let i = older; i > 0; i--) {
    const from = i === 1 ? path : `${path}.${i - 1}`;
    if (existsSync(from)) renameSync(from, `${path}.${i}`);
  }
}

function read(path: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    return '';
  }
}

/** Those of the lines that can be read. */
function entriesOf(text: string): AuditEntry[] {
  return text.split('\n').flatMap((line) => {
    try {
      const value: unknown = JSON.parse(line);
      return typeof value === 'object' && value !== null ? [value as AuditEntry] : [];
    } catch {
      return [];
    }
  });
}
