import { once } from 'node:events';
import { chmodSync, mkdirSync, rmSync, statSync } from 'node:fs';
import { createServer } from 'node:http';
import { connect, type Socket } from 'node:net';
import { dirname } from 'node:path';
import type { Api } from './context.ts';
import { answerUnreadable } from './problems.ts';

/** A Unix socket that only the user who runs the controller may open: who comes this way needs no token. */
export interface RootSocket {
  close(): void;
}

/**
 * Listens on it. Rejects where it cannot, as where another controller does.
 *
 * @param came told each connection
 */
export async function openRootSocket(api: Api, path: string, came: (socket: Socket) => void): Promise<RootSocket> {
  mkdirSync(dirname(path), { recursive: true, mode: 0o700 });
  if (await answers(path)) throw new Error(`${path} is in use by another controller`);
  // A killed controller leaves it.
  if (statSync(path, { throwIfNoEntry: false })?.isSocket() === false) throw new Error(`${path} is no socket`);
  rmSync(path, { force: true });
  const server = createServer(api.routing);
  server.on('connection', came);
  server.on('clientError', answerUnreadable);
  // Made with these permissions, rather than given them a moment later.
  const before = process.umask(0o177);
  try {
    server.listen(path);
  } finally {
    process.umask(before);
  }
  await once(server, 'listening');
  chmodSync(path, 0o600);
  return {
    close: () => {
      server.close();
      server.closeAllConnections();
    },
  };
}

/** Whether somebody listens there. */
function answers(path: string): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(path);
    const end = (yes: boolean) => {
      socket.destroy();
      resolve(yes);
    };
    socket.once('connect', () => end(true));
    socket.once('error', () => end(false));
  });
}
