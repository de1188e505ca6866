import { once } from 'node:events';
import { closeSync, createReadStream, openSync, ReadStream, read, readlinkSync, type Stats } from 'node:fs';
import { realpath } from 'node:fs/promises';
import type { IncomingMessage } from 'node:http';
import send, { type SendResult } from '@fastify/send';

/** The files of a folder, as a web server has them: ranges, conditional requests, content types. */
export interface Files {
  /**
   * What answers a GET or HEAD of this path, opened already; undefined where no file can be read there. That holds for links
   * which lead out of the folder too: this program may read what others may not. A file that was replaced within the last
   * second may come as it was.
   */
  find(request: IncomingMessage, path: string): Promise<Found | undefined>;
}

export type Found = Pick<SendResult, 'statusCode' | 'headers' | 'stream'>;

/** Read at once, so that most images take one read and one write. */
const highWaterMark = 1 << 17;
/** Files that are asked for again within this time stay open: each look at a disk costs more than the reading. */
const keepMs = 1000;
const mostKept = 256;

/** For streams of one descriptor: none of them closes it, also when it is destroyed. */
const shared = { read, close: (_: number, done: (error: null) => void) => done(null) };

/** A file that is kept open, with what its whole answer says of it. */
interface Kept {
  fd: number;
  headers: SendResult['headers'];
  at: number;
  readers: number;
}

export function filesBelow(root: string): Files {
  let realRoot: string | undefined;
  const kept = new Map<string, Kept>();
  let sweeper: NodeJS.Timeout | undefined;

  const isIn = (path: string) => realRoot !== undefined && path.startsWith(realRoot === '/' ? '/' : `${realRoot}/`);

  /** The folder itself may be a link, and lead elsewhere tomorrow. */
  async function isBelow(path: string): Promise<boolean> {
    if (isIn(path)) return true;
    realRoot = await realpath(root);
    return isIn(path);
  }

  const checkOf = (method: string | undefined) => async (path: string, stat: Stats) => {
    if (!stat.isFile()) throw new Error('no file');
    // What is opened is looked at then.
    if (method === 'HEAD' && !(await isBelow(await realpath(path)))) throw new Error('no file of this folder');
  };

  function keep(path: string, fd: number, headers: SendResult['headers']): void {
    if (kept.size >= mostKept || kept.has(path)) return;
    // Opened anew, of the same file: the stream closes its own.
    kept.set(path, { fd: openSync(`/proc/self/fd/${fd}`, 'r'), headers, at: performance.now(), readers: 0 });
    sweeper ??= setInterval(sweep, keepMs).unref();
  }

  function sweep(): void {
    for (const [path, { fd, at, readers }] of kept)
      if (readers === 0 && performance.now() - at >= keepMs) {
        kept.delete(path);
        closeSync(fd);
      }
    if (kept.size > 0) return;
    clearInterval(sweeper);
    sweeper = undefined;
  }

  function again(path: string): Found | undefined {
    const file = kept.get(path);
    if (!file || performance.now() - file.at >= keepMs) return undefined;
    const end = Math.max(0, Number(file.headers['Content-Length']) - 1);
    const stream = createReadStream('', { fd: file.fd, fs: shared, start: 0, end, highWaterMark });
    file.readers++;
    stream.once('close', () => file.readers--);
    return { statusCode: 200, headers: { ...file.headers }, stream };
  }

  return {
    async find(request, path) {
      const isPlain = request.method === 'GET' && !conditions.some((name) => request.headers[name] !== undefined);
      const known = isPlain ? again(path) : undefined;
      if (known) return known;
      let file: SendResult | undefined;
      try {
        const onFile = checkOf(request.method);
        file = await send(request, path, { root, cacheControl: false, dotfiles: 'deny', index: false, highWaterMark, onFile }); // biome-ignore format: one call
        const { type, statusCode, headers, stream } = file;
        const isThere = type === 'file' || [304, 412, 416].includes(statusCode);
        if (isThere && !(stream instanceof ReadStream)) return file;
        if (isThere && stream instanceof ReadStream) {
          const [fd] = (await once(stream, 'open')) as [number];
          // Not by its name, which may mean another file by now.
          if (await isBelow(readlinkSync(`/proc/self/fd/${fd}`))) {
            if (isPlain && statusCode === 200) keep(path, fd, headers);
            return file;
          }
        }
      } catch {
        // Nothing that can be read.
      }
      file?.stream.destroy();
      return undefined;
    },
  };
}

/** With these the answer is not the whole file (RFC 9110 section 13.1 and 14.2). */
const conditions = ['range', 'if-match', 'if-none-match', 'if-modified-since', 'if-unmodified-since', 'if-range'];
