import { homesOf } from '../url/affinity.ts';

/**
 * The real server for a request, or undefined where none has a weight: by weight, or the one that its path belongs to.
 *
 * @param chance evenly drawn, from 0 to 1 without 1
 */
export function chooseServer<S extends { name: string; weight: number }>(
  servers: readonly S[],
  affinity: 'none' | 'url-hash',
  path: string,
  chance: number,
): S | undefined {
  if (affinity === 'url-hash') {
    const [home] = homesOf(path, new Map(servers.map(({ name, weight }) => [name, weight])));
    return servers.find(({ name }) => name === home);
  }
  const sum = servers.reduce((total, { weight }) => total + weight, 0);
  let left = chance * sum;
  return servers.find(({ weight }) => {
    left -= weight;
    return left < 0;
  });
}
