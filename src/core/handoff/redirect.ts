import type { RequestHead } from '../url/request.ts';

/**
 * Where a client is sent for a request, its path and query as they were; undefined where it has come to that host already,
 * and would come back for ever.
 *
 * @param host with a port if it is not the usual one
 */
export function locationOf(head: Pick<RequestHead, 'target' | 'host'>, host: string): string | undefined {
  const name = host.toLowerCase().replace(/:\d+$/, '').replace(/\.$/, '');
  if (head.host === name) return undefined;
  const rest = head.target.replace(/^https?:\/\/[^/?]*/i, '');
  return `http://${host}${rest.startsWith('/') ? '' : '/'}${rest}`;
}
