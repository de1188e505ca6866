// What a host's kernel says, in the words of ipvsadm, ip and sysctl.
import type { Host } from '../../infra/lab/host.ts';

/** `ipvsadm -Sn`, a line each, sorted: the order in which services are listed means nothing. */
export async function ipvs(host: Host): Promise<string[]> {
  const { stdout } = await host.exec(['ipvsadm', '-Sn']);
  return stdout.split('\n').filter(Boolean).sort();
}

export interface KernelAddress {
  dev: string;
  address: string;
  prefix: number;
  flags: string[];
  /** Seconds; 4294967295 is for ever. */
  preferred: number;
}

/** `ip -j addr`, an address each. */
export async function addresses(host: Host): Promise<KernelAddress[]> {
  const { stdout } = await host.exec(['ip', '-j', 'addr']);
  const links = JSON.parse(stdout) as { ifname: string; addr_info: Record<string, unknown>[] }[];
  return links.flatMap(({ ifname, addr_info }) =>
    addr_info.map((info) => ({
      dev: ifname,
      address: String(info.local),
      prefix: Number(info.prefixlen),
      flags: Object.keys(info).filter((key) => info[key] === true),
      preferred: Number(info.preferred_life_time),
    })),
  );
}

/** Where a host has an address: "eth0 192.0.2.100/32" each. */
export async function holdersOf(host: Host, address: string): Promise<string[]> {
  const found = (await addresses(host)).filter((a) => a.address === address);
  return found.map(({ dev, prefix }) => `${dev} ${address}/${prefix}`);
}

/** Values of sysctls, by key. */
export async function sysctls(host: Host, keys: string[]): Promise<Record<string, string>> {
  const { stdout } = await host.exec(['sysctl', ...keys]);
  return Object.fromEntries(stdout.split('\n').map((line) => line.split(' = ') as [string, string]));
}

export const suppression = ['all', 'eth0'].flatMap((dev) => [
  `net.ipv4.conf.${dev}.arp_ignore`,
  `net.ipv4.conf.${dev}.arp_announce`,
]);

/** Everything of a host that the programs may change: to be byte for byte as before when they are done. */
export async function snapshot(host: Host): Promise<string> {
  const command = `ip -j -p addr; ip -j rule; ip -j route; ip -6 -j route; ipvsadm -Sn | sort
grep -rs '' /proc/sys/net/ipv4/conf /proc/sys/net/ipv6/conf /proc/sys/net/ipv4/vs | sort`;
  return (await host.exec(['sh', '-c', command])).stdout;
}
