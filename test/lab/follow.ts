// Watching a kernel for changes that nobody asked for.
import { readFile } from 'node:fs/promises';
import type { Host } from '../../infra/lab/host.ts';
import { lookout } from '../../infra/lab/lookout.ts';
import { waitFor } from '../../infra/lab/wait.ts';

export interface Rules {
  /** Every state that was seen, each once, without the counts of connections. */
  states: () => string[];
  /** When the state was such, at every look until one that begins after the question: milliseconds since the epoch. */
  when: (such: (state: string) => boolean) => Promise<number[]>;
  stop: () => void;
}

/** Looks every 10 ms at a host's IPVS services of an IPv4 VIP. IPVS must be loaded. */
export async function followRules(host: Host, vip: string): Promise<Rules> {
  const pid = await lookout(host);
  const seen: { state: string; time: number }[] = [];
  const name = hex(vip);
  let going = true;
  let before = '';
  const look = async () => {
    const time = Date.now();
    const text = await readFile(`/proc/${pid}/net/ip_vs`, 'utf8');
    const services = text.split(/^(?=TCP|UDP|FWM)/m).filter((service) => service.slice(5).startsWith(`${name}:`));
    const now = services
      .sort()
      .join('')
      .replace(/ +\d+ +\d+ *$/gm, '');
    // A long table is read in parts, and may change in between: what is so at two looks in a row is so.
    const certain = now === before;
    before = now;
    if (certain) seen.push({ state: now, time });
    if (!certain) setImmediate(look);
    else if (going) setTimeout(look, 10);
  };
  void look();
  return {
    states: () => [...new Set(seen.map(({ state }) => state))],
    when: async (such) => {
      const asked = Date.now();
      await waitFor(() => (seen.at(-1)?.time ?? 0) > asked, { what: 'a look at the rules' });
      return seen.filter(({ state }) => such(state)).map(({ time }) => time);
    },
    stop: () => {
      going = false;
    },
  };
}

const hex = (address: string): string =>
  address
    .split('.')
    .map((part) => Number(part).toString(16).padStart(2, '0'))
    .join('')
    .toUpperCase();

/** What `ip monitor` tells of a host's links, addresses and routes, a line each. */
export async function monitor(host: Host): Promise<() => Promise<string[]>> {
  const program = host.spawn('ip-monitor', ['ip', '-o', 'monitor', 'link', 'address', 'route', 'rule']);
  const lines = async () => (await readFile(program.log, 'utf8')).split('\n').filter(Boolean);
  const test = '10.255.255.1';
  await waitFor(
    async () => {
      await host.exec(['sh', '-c', `ip addr add ${test}/32 dev lo; ip addr del ${test}/32 dev lo`]);
      return (await lines()).length > 0;
    },
    { what: 'ip monitor', explain: program.tail },
  );
  // It also says that it does not know where the cables' other ends are.
  return async () => (await lines()).filter((line) => !line.includes(test) && !line.startsWith('Error: Peer netns'));
}
