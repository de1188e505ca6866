import { once } from 'node:events';
import { ReadStream, readlinkSync, type Stats } from 'node:fs';
import { realpath } from 'node:fs/promises';
import type { IncomingMessage } from 'node:http';
import send, { type SendResult } from '@fastify/send';

/** The files of a folder, as a web server has them: ranges, conditional requests, content types. */
export interface Files {
  /**
   * What answers a GET or HEAD of this path, opened already; undefined where no file can be read there. That holds for links
   * which lead out of the folder too: this program may read what others may not.
   */
  find(request: IncomingMessage, path: string): Promise<SendResult | undefined>;
}

/** Read at once, so that most images take one read and one write. */
const highWaterMark = 1 << 17;

export function filesBelow(root: string): Files {
  let realRoot: string | undefined;
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

  return {
    async find(request, path) {
      let file: SendResult | undefined;
      try {
        file = await send(request, path, {
          root,
          cacheControl: false,
          dotfiles: 'deny',
          index: false,
          highWaterMark,
          onFile: checkOf(request.method),
        });
        const { type, statusCode, stream } = file;
        const isThere = type === 'file' || [304, 412, 416].includes(statusCode);
        if (isThere && !(stream instanceof ReadStream)) return file;
        if (isThere && stream instanceof ReadStream) {
          const [fd] = (await once(stream, 'open')) as [number];
          // Not by its name, which may mean another file by now.
          if (await isBelow(readlinkSync(`/proc/self/fd/${fd}`))) return file;
        }
      } catch {
        // Nothing that can be read.
      }
      file?.stream.destroy();
      return undefined;
    },
  };
}
