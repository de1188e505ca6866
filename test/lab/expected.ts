// What ipvsadm must list for a pools document, worked out from ipvsadm(8) alone.
import type { PoolText } from './api.ts';

type Ports = PoolText['ports'];
type Balanced = Extract<Ports[string], { policy: 'real-servers' }>;

const withPort = (address: string, port: string) =>
  address.includes(':') ? `[${address}]:${port}` : `${address}:${port}`;

/** Lines of `ipvsadm -Sn`, sorted, when every real server is fit. */
export function savedLines(pools: Record<string, PoolText>): string[] {
  const lines = Object.values(pools).flatMap((pool) =>
    balanced(pool).flatMap(({ id, port, config }) => [
      ['-A', id, '-s', config.scheduler ?? 'wlc', ...persistence(pool.vip, config), ...flags(config)].join(' '),
      ...Object.values(pool.realServers ?? {}).map(
        ({ address, weight = 100 }) => `-a ${id} -r ${withPort(address, port)} -g -w ${weight}`,
      ),
    ]),
  );
  return lines.sort();
}

/** By "SERVICE REAL-SERVER": upper and lower threshold, as `ipvsadm -Ln --thresholds` lists them. */
export function thresholds(pools: Record<string, PoolText>): Record<string, string> {
  return Object.fromEntries(
    Object.values(pools).flatMap((pool) =>
      balanced(pool).flatMap(({ port, protocol }) =>
        Object.values(pool.realServers ?? {}).map(({ address, upperThreshold = 0, lowerThreshold = 0 }) => [
          `${protocol.toUpperCase()} ${withPort(pool.vip, port)} ${withPort(address, port)}`,
          `${upperThreshold} ${lowerThreshold}`,
        ]),
      ),
    ),
  );
}

function balanced({ vip, ports }: PoolText) {
  return Object.entries(ports).flatMap(([key, config]) => {
    const [port = '', protocol = ''] = key.split('/');
    const id = `${protocol === 'tcp' ? '-t' : '-u'} ${withPort(vip, port)}`;
    return config.policy === 'real-servers' ? [{ id, port, protocol, config }] : [];
  });
}

/** A full netmask is not listed. */
function persistence(vip: string, { persistenceSeconds, persistenceNetmask }: Balanced): string[] {
  if (persistenceSeconds === undefined) return [];
  const full = vip.includes(':') ? 128 : 32;
  const mask = persistenceNetmask === full || persistenceNetmask === '255.255.255.255' ? undefined : persistenceNetmask;
  const words = typeof mask === 'number' && full === 32 ? dotted(mask) : mask;
  return ['-p', String(persistenceSeconds), ...(words === undefined ? [] : ['-M', String(words)])];
}

const dotted = (prefix: number): string =>
  [0, 8, 16, 24].map((start) => 256 - 2 ** (8 - Math.min(8, Math.max(0, prefix - start)))).join('.');

function flags({ onePacket, schedulerFlags = [] }: Balanced): string[] {
  const order = ['sh-fallback', 'sh-port', 'mh-fallback', 'mh-port', 'flag-1', 'flag-2', 'flag-3'];
  const listed = order.filter((flag) => schedulerFlags.some((given) => given === flag));
  return [...(onePacket ? ['-o'] : []), ...(listed.length > 0 ? ['-b', listed.join(',')] : [])];
}
