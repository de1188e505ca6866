import { readFile, writeFile } from 'node:fs/promises';
import { parse } from 'yaml';
import { CodedError } from '../errors.ts';
import { poolsDocumentSchema } from '../schema.ts';
import { type Io, readAll } from './io.ts';
import { visible } from './view/text.ts';
import { isObject } from './view/tree.ts';

/** A document as GET /v1/pools answers it, not yet judged. */
export interface PoolsDocument {
  pools: Record<string, unknown>;
}

/** Reads pools from a file or, as "-", from the standard input, as YAML or JSON. Throws BAD_FILE, which says what is right. */
export async function readPools(file: string, io: Io): Promise<PoolsDocument> {
  const where = file === '-' ? 'the standard input' : visible(file);
  const text = await (file === '-' ? readAll(io.stdin) : readFile(file, 'utf8')).catch(
    (error: NodeJS.ErrnoException) => {
      throw fileError(`${where} cannot be read`, error);
    },
  );
  const document = textToData(text, where);
  const right = 'write { "pools": { NAME: { "vip": …, "ports": …, "realServers": … } } }, as dsrctl export does';
  if (!isObject(document)) throw bad(`${where} holds no pools document; ${right}`);
  const { pools } = document;
  if (isObject(pools) && !isPool(pools)) return document as unknown as PoolsDocument;
  if (isPool(document)) throw bad(`${where} is one pool without its name; ${right}`);
  if (Object.values(document).some(isPool))
    throw bad(`${where} is a map of pools, without "pools" around it; ${right}`);
  throw bad(`${where} has no "pools", or they are no map; ${right}`);
}

const isPool = (value: unknown) => isObject(value) && typeof value.vip === 'string';

/** YAML has JSON in it; and it refuses a name that is there twice, where JSON would take the last. */
function textToData(text: string, where: string): unknown {
  try {
    return parse(text, { logLevel: 'error' });
  } catch (error) {
    throw bad(`${where} cannot be read as YAML or JSON: ${visible((error as Error).message.split('\n')[0] ?? '')}`);
  }
}

/** Writes a file. Throws BAD_FILE. */
export async function writeText(file: string, text: string): Promise<void> {
  await writeFile(file, text).catch((error: NodeJS.ErrnoException) => {
    throw fileError(`${visible(file)} cannot be written`, error);
  });
}

function fileError(what: string, { code, message }: NodeJS.ErrnoException): CodedError {
  if (code === 'EACCES' || code === 'EPERM')
    return new CodedError('BAD_FILE', `${what}: permission denied; run as a user who may`, 3);
  return bad(`${what}: ${code === 'ENOENT' ? 'there is no such file' : visible(message)}`);
}

const bad = (message: string) => new CodedError('BAD_FILE', message, 2);

/** The pools with everything that has a default, where this version knows how; undefined where something is wrong. */
export function wholePools(document: PoolsDocument): Record<string, unknown> | undefined {
  const read = poolsDocumentSchema.safeParse(document);
  return read.success ? read.data.pools : undefined;
}
