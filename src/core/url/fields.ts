import { type BadRequest, bad } from './refusal.ts';
import type { RequestHead } from './request.ts';

/** A header field: name in lower case, value without blanks around it; one character a byte. */
export type Field = readonly [name: string, value: string];

interface Fields {
  kind: 'fields';
  headers: Field[];
  /** As the Host field says it. */
  host: string | undefined;
  body: RequestHead['body'];
}

/** RFC 9110 section 5.6.2. */
const field = /^([!#$%&'*+.^_`|~0-9A-Za-z-]+):[ \t]*(.*?)[ \t]*$/s;
/** Those of which a second one would change who answers, or where the request ends. */
const single = ['host', 'content-length', 'transfer-encoding'];
const maxFields = 100;

/** Reads the lines between the request line and the empty line. */
export function parseFields(lines: readonly string[], version: RequestHead['version']): Fields | BadRequest {
  if (lines.length > maxFields) return bad(431, `more than ${maxFields} header fields`);
  const headers: Field[] = [];
  for (const line of lines) {
    if (/^[ \t]/.test(line)) return bad(400, 'a header line that goes on on the next one');
    const [, name, value = ''] = field.exec(line) ?? [];
    if (name === undefined)
      return bad(400, 'a header line is a name, a colon and a value, without a blank before the colon');
    headers.push([name.toLowerCase(), value]);
  }
  for (const name of single)
    if (headers.filter(([other]) => other === name).length > 1) return bad(400, `more than one ${name}`);
  const host = headerOf(headers, 'host');
  if (host === undefined && version === '1.1') return bad(400, 'HTTP/1.1 without Host');
  const body = bodyOf(headers, version);
  if (typeof body === 'object') return body;
  return { kind: 'fields', headers, host, body };
}

/** The first field of this name, in lower case. */
export const headerOf = (headers: readonly Field[], name: string): string | undefined =>
  headers.find(([other]) => other === name)?.[1];

function bodyOf(headers: readonly Field[], version: RequestHead['version']): RequestHead['body'] | BadRequest {
  const length = headerOf(headers, 'content-length');
  const encoding = headerOf(headers, 'transfer-encoding');
  if (encoding !== undefined) {
    if (length !== undefined) return bad(400, 'both Content-Length and Transfer-Encoding');
    if (version === '1.0') return bad(400, 'Transfer-Encoding in HTTP/1.0');
    return encoding.toLowerCase() === 'chunked' ? 'chunked' : bad(501, 'a Transfer-Encoding other than chunked');
  }
  if (length === undefined) return 0;
  return /^\d{1,15}$/.test(length) ? Number(length) : bad(400, 'a Content-Length is a number of at most 15 digits');
}
