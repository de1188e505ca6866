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

/** Those that have the fewest connections for their weight, one more included, as the scheduler wlc of IPVS has it. */
export function leastConnections<S extends { weight: number }>(
  servers: readonly S[],
  connectionsOf: (server: S) => number,
): S[] {
  const fit = servers.filter(({ weight }) => weight > 0);
  const loads = fit.map((server) => (connectionsOf(server) + 1) / server.weight);
  const least = loads.reduce((a, b) => Math.min(a, b), Number.POSITIVE_INFINITY);
  return fit.filter((_, i) => loads[i] === least);
}
