import type { Socket } from 'node:net';
import { join } from 'node:path';
import type { Test } from 'tap';
import { openAudit } from '../../src/store/audit.ts';
import type { KeyBook } from '../../src/trust/key-book.ts';
import { openKeys } from '../../src/trust/open.ts';
import type { Reach, Trust } from '../../src/trust/trust.ts';
import { type Controller, type ControllerOptions, folder, startController } from './site.ts';

/** A controller that trusts nobody, with a token of each kind. */
export interface Trusted extends Controller {
  keys: KeyBook;
  trust: Trust;
  /** By who holds it. */
  tokens: { admin: string; viewer: string; rs1: string; rs2: string };
  /** Connections of root. */
  roots: WeakSet<Socket>;
  as(who: keyof Trusted['tokens']): Record<string, string>;
}

export const reach: Reach = {
  urls: () => ['https://192.0.2.10:7100'],
  authority: 'PEM',
  fingerprint: 'ab'.repeat(32),
};

export const bearer = (token: string): Record<string, string> => ({ authorization: `Bearer ${token}` });

export async function startTrusted(t: Test, options: ControllerOptions = {}): Promise<Trusted> {
  const dir = options.dir ?? folder(t);
  const fail = (error: Error) => t.fail(error.message);
  const keys = await openKeys(dir, fail);
  const roots = new WeakSet<Socket>();
  const trust: Trust = {
    keys,
    audit: openAudit({ path: join(dir, 'audit.log'), failed: fail }),
    refused: openAudit({ path: join(dir, 'refused.log'), failed: fail }),
    isRoots: (socket) => roots.has(socket),
  };
  t.teardown(() => Promise.all([trust.audit.stop(), trust.refused.stop()]));
  const controller = await startController(t, { reach, ...options, dir, trust });
  const agent = async (name: string) =>
    (await keys.redeem((await keys.invite(name, 60_000)).id, `machine-of-${name}`)).token;
  const tokens = {
    admin: (await keys.make('admin', 'test', null)).token,
    viewer: (await keys.make('viewer', 'test', null)).token,
    rs1: await agent('rs1'),
    rs2: await agent('rs2'),
  };
  return { ...controller, keys, trust, tokens, roots, as: (who) => bearer(tokens[who]) };
}
