import type { UrlMatch, UrlPolicy, UrlTarget } from '../../url-schema.ts';
import type { RequestHead } from './request.ts';

/** What of a request decides who answers. */
export type Asked = Pick<RequestHead, 'method' | 'path' | 'host'>;

export interface Verdict {
  to: UrlTarget;
  /** Index of the rule that decided, from 0; undefined: none matched. */
  rule: number | undefined;
  /** In words. */
  why: string;
}

/** Who answers a request: the first rule that matches decides. */
export function matchUrl({ rules, otherwise }: Pick<UrlPolicy, 'rules' | 'otherwise'>, asked: Asked): Verdict {
  const misses: string[] = [];
  for (const [rule, { match, to }] of rules.entries()) {
    const miss = missOf(match, asked);
    if (miss === undefined) return { to, rule, why: `rule ${rule + 1} matches (${matchWords(match)})` };
    misses.push(`rule ${rule + 1}: ${miss}`);
  }
  return { to: otherwise, rule: undefined, why: `no rule matches (${misses.join('; ')})` };
}

/** What follows the last dot of the path's last part, in lower case; undefined without a dot. */
export function extensionOf(path: string): string | undefined {
  const name = path.slice(path.lastIndexOf('/') + 1);
  const dot = name.lastIndexOf('.');
  return dot === -1 ? undefined : name.slice(dot + 1).replace(/[A-Z]/g, (c) => c.toLowerCase());
}

function missOf({ methods, extensions, pathPrefix, host }: UrlMatch, asked: Asked): string | undefined {
  if (methods && !methods.includes(asked.method)) return `its method is ${asked.method}`;
  if (extensions) {
    const extension = extensionOf(asked.path);
    if (extension === undefined) return 'it has no extension';
    if (!extensions.includes(extension)) return `its extension is ${extension}`;
  }
  if (pathPrefix !== undefined && !asked.path.startsWith(pathPrefix))
    return `its path does not begin with ${pathPrefix}`;
  if (host !== undefined && asked.host !== host) return asked.host ? `its host is ${asked.host}` : 'it names no host';
  return undefined;
}

/** Such as "GET, HEAD; .jpg, .png; /img/; example.com". */
export function matchWords({ methods, extensions, pathPrefix, host }: UrlMatch): string {
  const parts = [methods?.join(', '), extensions?.map((one) => `.${one}`).join(', '), pathPrefix, host];
  return parts.filter((part) => part !== undefined).join('; ');
}
