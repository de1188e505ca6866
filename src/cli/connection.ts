import { accessSync, constants } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { CodedError } from '../errors.ts';
import { authorityOf } from '../trust/pin.ts';
import { type Io, readAll } from './io.ts';
import { type Settings, tokenForm } from './settings.ts';
import { visible } from './view/text.ts';

/** Where the controller is, and how it and the user show who they are. */
export interface Connection {
  /** As the user has it. */
  base: string;
  /** What requests go to. */
  url: URL;
  /** Path of a Unix socket that leads there. */
  socket: string | undefined;
  /** Why it is not the socket for root, where somebody may have expected that. */
  noSocket: string;
  /** Read when it is needed. Throws BAD_FILE. */
  token(): Promise<string | undefined>;
  /** The only authority that counts, as PEM; undefined: those of the system. Throws BAD_FILE, or as authorityOf does. */
  authority(): Promise<string | undefined>;
}

const usual = 'http://127.0.0.1:7100';

/** @param timeoutMs for fetching a certificate */
export function connectionOf(settings: Settings, io: Io, timeoutMs: number): Connection {
  const { token, tokenFile, ca, caSha256 } = settings;
  const { base, noSocket } = whereIs(settings.controller, io.rootSocket);
  const socket = base.startsWith('unix:') ? base.slice('unix:'.length) : undefined;
  const url = new URL(socket === undefined ? base : 'http://director');
  if (!url.pathname.endsWith('/')) url.pathname += '/';
  const readToken = async () => (tokenFile === undefined ? token : tokenIn(await textOf(tokenFile, io), tokenFile));
  const readAuthority = async () => {
    if (url.protocol !== 'https:') return undefined;
    if (ca !== undefined) return certificateIn(await textOf(ca, io), ca);
    return caSha256 === undefined ? undefined : authorityOf(url, caSha256, timeoutMs);
  };
  return { base, url, socket, noSocket, token: once(readToken), authority: once(readAuthority) };
}

function whereIs(controller: string | undefined, rootSocket: string): { base: string; noSocket: string } {
  if (controller !== undefined) return { base: controller, noSocket: '' };
  try {
    accessSync(rootSocket, constants.R_OK | constants.W_OK);
    return { base: `unix:${rootSocket}`, noSocket: '' };
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    const may = code !== 'EACCES' && code !== 'EPERM';
    return { base: usual, noSocket: may ? '' : `This user may not open ${rootSocket}, the controller's socket` };
  }
}

/** What was read well is not read again. */
function once<T>(read: () => Promise<T>): () => Promise<T> {
  let known: Promise<T> | undefined;
  return () => {
    known ??= read().catch((error) => {
      known = undefined;
      throw error;
    });
    return known;
  };
}

async function textOf(path: string, io: Io): Promise<string> {
  if (path === '-') return readAll(io.stdin);
  return readFile(path, 'utf8').catch(({ code, message }: NodeJS.ErrnoException) => {
    if (code === 'EACCES')
      throw new CodedError(
        'BAD_FILE',
        `${visible(path)} cannot be read: permission denied; run as root, or as a user who may`,
        3,
      );
    throw bad(`${visible(path)} cannot be read: ${code === 'ENOENT' ? 'there is no such file' : visible(message)}`);
  });
}

function tokenIn(text: string, path: string): string {
  const token = text.trim();
  if (tokenForm.test(token)) return token;
  throw bad(
    `${path === '-' ? 'the standard input' : visible(path)} holds no token: it is one line, as dsrctl token create prints it`,
  );
}

function certificateIn(text: string, path: string): string {
  if (text.includes('-----BEGIN CERTIFICATE-----')) return text;
  throw bad(`${visible(path)} holds no certificate as PEM, as dsrctl ca prints it`);
}

const bad = (message: string) => new CodedError('BAD_FILE', message, 2);
