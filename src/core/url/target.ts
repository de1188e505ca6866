import { type BadRequest, bad } from './refusal.ts';

interface Target {
  kind: 'target';
  path: string;
  query: string | undefined;
  host: string | undefined;
}

const authority = /^(?:(?<name>[a-z0-9_-]+(?:\.[a-z0-9_-]+)*)\.?|(?<v6>\[[0-9a-f:.]+\]))(?::\d{1,5})?$/i;

/**
 * Reads a request's target, "/path?query" or "http://host/path?query" (RFC 9112 section 3.2), the way nginx and lighttpd
 * both do: decoded once, with %2F as a slash, then slashes merged and dot segments removed.
 *
 * @param hostField the value of Host
 */
export function parseTarget(target: string, hostField: string | undefined): Target | BadRequest {
  const absolute = /^https?:\/\/([^/?]*)(.*)$/is.exec(target);
  if (!absolute && !target.startsWith('/')) return bad(400, 'a target begins with "/" or "http://"');
  if (/[#\t]/.test(target)) return bad(400, 'a target with a fragment or a tab');
  const named = hostField === undefined ? undefined : hostOf(hostField);
  if (hostField !== undefined && named === undefined)
    return bad(400, 'a Host is a name or an address, with or without a port');
  // In a target nginx takes no "_".
  const host = absolute ? hostOf((absolute[1] ?? '').replace('_', ' ')) : named;
  if (absolute && host === undefined) return bad(400, 'a target whose host is no name');
  if (named !== undefined && host !== named) return bad(400, 'the target names another host than Host');
  const rest = absolute ? (absolute[2] ?? '') : target;
  const mark = rest.indexOf('?');
  const path = normalPath((mark === -1 ? rest : rest.slice(0, mark)) || '/');
  if (typeof path !== 'string') return path;
  return { kind: 'target', path, query: mark === -1 ? undefined : rest.slice(mark + 1), host };
}

function hostOf(text: string): string | undefined {
  const { name, v6 } = authority.exec(text)?.groups ?? {};
  return (name ?? v6)?.toLowerCase();
}

function normalPath(raw: string): string | BadRequest {
  if (/%(?![0-9a-f]{2})/i.test(raw)) return bad(400, 'a "%" without two hexadecimal digits in the path');
  const decoded = raw.replace(/%(..)/g, (_, digits: string) => String.fromCharCode(Number.parseInt(digits, 16)));
  // biome-ignore lint/suspicious/noControlCharactersInRegex: they are what is looked for
  if (/[\x00-\x1f\x7f]/.test(decoded)) return bad(400, 'an encoded control character in the path');
  const segments: string[] = [];
  const parts = decoded.split('/').slice(1);
  for (const [i, part] of parts.entries()) {
    const isLast = i === parts.length - 1;
    if (part === '..' && segments.pop() === undefined) return bad(400, 'a path that leads above "/"');
    if (part !== '' && part !== '.' && part !== '..') segments.push(part);
    else if (isLast) segments.push('');
  }
  return `/${segments.join('/')}`;
}
