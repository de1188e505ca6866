import { once } from 'node:events';
import { chmodSync } from 'node:fs';
import { createServer } from 'node:https';
import type { AddressInfo, Socket } from 'node:net';
import { dirname, join } from 'node:path';
import type { Test } from 'tap';
import { openRootSocket } from '../../src/api/root-socket.ts';
import { openAudit } from '../../src/store/audit.ts';
import { makeAuthority, makeServer } from '../../src/trust/certificates.ts';
import type { Identity } from '../../src/trust/identity.ts';
import type { KeyBook } from '../../src/trust/key-book.ts';
import { openKeys } from '../../src/trust/open.ts';
import { sha256Of } from '../../src/trust/pin.ts';
import { type Controller, folder, startController } from '../api/site.ts';
import { dsrctl, type Ended, type Started, type Surroundings, start } from './site.ts';

export interface Served {
  base: string;
  /** Headers of each request that came. */
  heard: string[];
}

/** A controller that asks everybody who it is: over HTTPS with its own authority, and over the socket for root. */
export interface SecureSite extends Controller, Served {
  keys: KeyBook;
  authority: Identity;
  sha256: string;
  /** Path of the socket for root. */
  socket: string;
  /** An administrator's token. */
  admin: string;
  viewer: string;
  /** dsrctl as an administrator over HTTPS, who knows the fingerprint. */
  ctl(argv: readonly string[], around?: Surroundings): Promise<Ended>;
  start(argv: readonly string[], around?: Surroundings): Started;
  /** The same API under another certificate. */
  serve(identity: Identity, chain?: string): Promise<Served>;
}

export async function startSecureSite(t: Test): Promise<SecureSite> {
  const authority = await makeAuthority('director');
  const sha256 = sha256Of(authority.certificate);
  const dir = folder(t);
  const roots = new WeakSet<Socket>();
  const keys = await openKeys(dir, (error) => t.fail(error.message));
  const audit = openAudit({ path: join(dir, 'audit.log'), failed: (error) => t.fail(error.message) });
  const refused = openAudit({ path: join(dir, 'refused.log'), failed: (error) => t.fail(error.message) });
  t.teardown(() => Promise.all([audit.stop(), refused.stop()]));
  const c = await startController(t, {
    dir,
    trust: { keys, audit, refused, isRoots: (socket) => roots.has(socket) },
    reach: {
      urls: () => ['https://192.0.2.10:7100', 'https://[2001:db8::10]:7100'],
      authority: authority.certificate,
      fingerprint: sha256,
    },
  });
  await c.api.ready();

  const serve = async ({ certificate, key }: Identity, chain = authority.certificate): Promise<Served> => {
    const heard: string[] = [];
    const server = createServer({ cert: `${certificate}\n${chain}`, key }, (request, response) => {
      heard.push(JSON.stringify(request.headers));
      c.api.routing(request, response);
    });
    t.teardown(() => {
      server.closeAllConnections();
      server.close();
    });
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    return { base: `https://127.0.0.1:${(server.address() as AddressInfo).port}`, heard };
  };

  const served = await serve(await makeServer(authority, ['127.0.0.1'], Date.now()));
  // A path of at most 107 bytes (unix(7)).
  const socket = join(folder(t), 'run', 'controller.sock');
  const open = await openRootSocket(c.api, socket, (peer) => void roots.add(peer));
  t.teardown(open.close);
  // Whoever is not root finds the socket, and may not open it.
  for (let path = dirname(socket); path !== '/' && path !== '/tmp' && path !== '/dev/shm'; path = dirname(path))
    chmodSync(path, 0o755);

  const { token: admin } = await keys.make('admin', 'tests', null);
  const { token: viewer } = await keys.make('viewer', 'tests', null);
  const env = { DSR_CONTROLLER: served.base, DSR_TOKEN: admin, DSR_CA_SHA256: sha256 };
  const with_ = (around: Surroundings = {}) => ({ ...around, env: { ...env, ...around.env } });
  return {
    ...c,
    ...served,
    keys,
    authority,
    sha256,
    socket,
    admin,
    viewer,
    ctl: (argv, around) => dsrctl(argv, with_(around)),
    start: (argv, around) => {
      const started = start(argv, with_(around));
      t.teardown(started.interrupt);
      return started;
    },
    serve,
  };
}
