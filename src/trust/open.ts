import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { z } from 'zod';
import type { Keys } from '../core/keys.ts';
import { type Document, openDocument } from '../store/document.ts';
import { writeWhole } from '../store/whole-file.ts';
import type { Identity } from './identity.ts';
import { createKeyBook, type KeyBook } from './key-book.ts';

const keySchema = z.strictObject({
  role: z.enum(['admin', 'viewer', 'agent', 'invitation']),
  name: z.string(),
  hash: z.string(),
  machineId: z.string().nullable(),
  created: z.number(),
  expires: z.number().nullable(),
  replaces: z.string().nullable(),
});

const identity = z.strictObject({ certificate: z.string(), key: z.string() });

/** The controller's own authority and its certificate; null before the first start with TLS. */
export interface TlsKeys {
  authority: Identity | null;
  server: Identity | null;
}

/** DIR/tls.json */
export const openTlsKeys = (dir: string): Document<TlsKeys> =>
  openDocument<TlsKeys>({
    path: join(dir, 'tls.json'),
    version: 1,
    schema: z.strictObject({ authority: identity.nullable(), server: identity.nullable() }),
    initial: { authority: null, server: null },
  });

/** Where the first administrator's token lies. */
export const adminTokenFile = (dir: string): string => join(dir, 'admin-token');

/**
 * DIR/keys.json. When there is no administrator's key that is good, one is made and its token written to DIR/admin-token, which only
 * root may read.
 */
export async function openKeys(dir: string, failed: (error: Error) => void): Promise<KeyBook> {
  const document = openDocument<{ keys: Keys }>({
    path: join(dir, 'keys.json'),
    version: 1,
    schema: z.strictObject({ keys: z.record(z.string(), keySchema) }),
    initial: { keys: {} },
  });
  const book = createKeyBook(document, failed);
  if (!Object.entries(book.all()).some(([id, { role }]) => role === 'admin' && book.isGood(id))) {
    mkdirSync(dir, { recursive: true, mode: 0o700 });
    // The file first: a crash in between leaves a token that is good for nothing, and the next start makes another.
    await book.make('admin', 'first administrator', null, (token) =>
      writeWhole(adminTokenFile(dir), `${token}\n`, 0o600),
    );
  }
  return book;
}
