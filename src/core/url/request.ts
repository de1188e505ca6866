import { type Field, parseFields } from './fields.ts';
import { type BadRequest, bad } from './refusal.ts';
import { parseTarget } from './target.ts';

/** What {@link parseHead} takes at most, bytes: of one line, and of all lines. nginx takes as much by default (large_client_header_buffers 4 8k). */
export const lineLimit = 8000;
export const headLimit = 16_000;

export interface RequestHead {
  kind: 'request';
  method: string;
  /** As it was sent. */
  target: string;
  /** Decoded once, slashes merged, dot segments removed; one character a byte (latin1), since names of files are bytes. */
  path: string;
  /** What follows the first "?", as it was sent; undefined without one. */
  query: string | undefined;
  /** In lower case, without port and last dot; undefined where an HTTP/1.0 request names none. */
  host: string | undefined;
  version: '1.0' | '1.1';
  /** In the order sent; names in lower case. */
  headers: Field[];
  /** Bytes of the body that follows; 0 when there is none. */
  body: number | 'chunked';
  /** Bytes of the head, with its empty line. */
  length: number;
}

export type Head = RequestHead | BadRequest | { kind: 'incomplete' };

const versions: Record<string, RequestHead['version'] | undefined> = { 'HTTP/1.0': '1.0', 'HTTP/1.1': '1.1' };

/**
 * Reads the head of an HTTP/1 request (RFC 9112). Strict: whatever two servers could read differently is refused, not
 * guessed. More bytes never turn a refusal into a request, and what follows the head changes nothing.
 */
export function parseHead(bytes: Uint8Array): Head {
  const lines: string[] = [];
  let start = 0;
  let at = 0;
  for (; at < bytes.length; at++) {
    if (at >= headLimit) return bad(431, `the head is longer than ${headLimit} bytes`);
    const byte = bytes[at] as number;
    if (byte === cr) {
      // The end of what has come so far: the LF may be on its way.
      if (at + 1 === bytes.length) break;
      if (bytes[at + 1] !== lf) return bad(400, 'a CR without LF');
      if (at > start) {
        const line = latin1(bytes, start, at);
        if (lines.length === 0) {
          const fault = lineFault(line);
          if (fault) return fault;
        }
        lines.push(line);
      } else if (lines.length > 0) return finish(lines, at + 2);
      else if (start > 0) return bad(400, 'more than one empty line before the request');
      at += 1;
      start = at + 1;
    } else if (byte === lf) return bad(400, 'a line that ends with LF alone');
    else if ((byte < 0x20 && byte !== tab) || byte === 0x7f)
      return bad(400, `a control character (0x${byte.toString(16).padStart(2, '0')})`);
    else if (at - start >= lineLimit) {
      const [status, what] = lines.length === 0 ? ([414, 'request'] as const) : ([431, 'header'] as const);
      return bad(status, `the ${what} line is longer than ${lineLimit} bytes`);
    }
  }
  return { kind: 'incomplete' };
}

const cr = 0x0d;
const lf = 0x0a;
const tab = 0x09;

function latin1(bytes: Uint8Array, start: number, end: number): string {
  let text = '';
  for (let i = start; i < end; i++) text += String.fromCharCode(bytes[i] as number);
  return text;
}

/** HTTP/0.9 and strangers are told at once, without waiting for an empty line that never comes. */
function lineFault(line: string): BadRequest | undefined {
  const [method = '', target, version, ...rest] = line.split(' ');
  if (!/^[A-Z]{1,20}$/.test(method)) return bad(400, 'a method is 1 to 20 capital letters');
  if (target === undefined || version === undefined || rest.length > 0)
    return bad(400, 'a request line is a method, a target and a version, with one blank between them');
  if (versions[version]) return undefined;
  return /^HTTP\/\d\.\d$/.test(version)
    ? bad(505, 'the version is HTTP/1.0 or HTTP/1.1')
    : bad(400, 'the request line does not end with a version');
}

function finish([line = '', ...rest]: string[], length: number): Head {
  const [method = '', target = '', spelled = ''] = line.split(' ');
  const version = versions[spelled] as RequestHead['version'];
  const fields = parseFields(rest, version);
  if (fields.kind === 'bad') return fields;
  const { headers, body } = fields;
  const parsed = parseTarget(target, fields.host);
  if (parsed.kind === 'bad') return parsed;
  const { path, query, host } = parsed;
  return { kind: 'request', method, target, path, query, host, version, headers, body, length };
}
