// What `vagrant up` ends with: the agents join, the pool is made from the client, and the lab's own check proves the traffic.
import type { Event } from '../lab/events.ts';
import { vip } from '../lab/hosts.ts';
import { measure } from '../lab/measure.ts';
import { ports } from '../lab/parts.ts';
import { poolOf, withWeight } from '../lab/pool.ts';
import { waitFor } from '../lab/wait.ts';
import type { Machines } from './machines.ts';

type Tell = (event: Event) => void;

/** Gives whether every goal was met. */
export async function prove(machines: Machines, tell: Tell): Promise<boolean> {
  await joinAgents(machines, tell);
  await makePool(machines, tell);
  const { mbit, realServers } = machines;
  const result = await measure(machines, { realServers: realServers.length, mbit, seconds: 10 }, tell);
  tell({ type: 'result', result });
  return result.goals.every(({ met }) => met);
}

/** Runs on every real server the very line that the director prints for it. One whose agent runs has joined already. */
async function joinAgents({ director, realServers }: Machines, tell: Tell): Promise<void> {
  tell({ type: 'step', title: 'Let the agents in', means: 'dsrctl agent invite rs1 | ssh root@rs1 sh' });
  for (const { name, run } of realServers) {
    if ((await run('systemctl is-active dsr-agent || true')) === 'active') {
      tell({ type: 'note', lines: [`${name}: has joined before`] });
      continue;
    }
    const line = await director.run(`sudo dsrctl agent invite ${name}`);
    const said = await run(
      'sudo sh -e && sudo systemctl enable --quiet dsr-agent && sudo systemctl restart dsr-agent',
      {
        input: line,
      },
    );
    tell({ type: 'note', lines: [`${name}: ${said}`] });
  }
}

async function makePool({ director, client, realServers }: Machines, tell: Tell): Promise<void> {
  const url = `https://${director.ip}:${ports.controller}`;
  tell({ type: 'step', title: 'Make the pool', means: `dsrctl on the client, over ${url}, with a token` });
  const token = await director.run('sudo dsrctl token create --role admin --name machines --expires 1d');
  const { sha256 } = JSON.parse(await director.run('sudo dsrctl ca --json')) as { sha256: string };
  await client.run('umask 077; cat >dsr-token', { input: token });
  const login = await client.run(`dsrctl login ${url} --token-file dsr-token --ca-sha256 ${sha256}`);
  const pools = { pools: { web: poolOf(realServers) } };
  const applied = await client.run('dsrctl apply -f - --yes', { input: JSON.stringify(pools) });
  tell({ type: 'note', lines: [...login.split('\n'), ...applied.split('\n')] });
  await waitFor(() => serves({ director, client, realServers }), {
    what: 'the pool to serve',
    timeoutMs: 600_000,
    everyMs: 5000,
    explain: () => client.run('dsrctl status web; dsrctl doctor || true'),
  });
  tell({ type: 'note', lines: [await director.run('sudo ipvsadm -Ln')] });
}

/**
 * Whether the pool serves with all its servers: the director's kernel has a weight for each, requests from the client are
 * answered by each and none fails, and PHP answers on the director. Throws with what is missing.
 */
export async function serves({
  director,
  client,
  realServers,
}: Pick<Machines, 'director' | 'client' | 'realServers'>): Promise<true> {
  const weights = withWeight(await director.run('sudo ipvsadm -Ln'));
  const without = realServers.filter(({ ip }) => !weights.includes(ip)).map(({ name }) => name);
  if (without.length > 0) throw new Error(`${without.join(', ')} without a weight in the director's kernel`);
  const ask = (url: string): string =>
    `curl --silent --max-time 5 --output /dev/null --write-out '%{http_code} %header{x-served-by}\\n' ${url} || true`;
  const images = Array.from({ length: 3 * realServers.length }, () => ask(`http://${vip}/healthz`));
  const answers = (await client.run([...images, ask(`http://${vip}:${ports.php}/`)].join('\n'))).split('\n');
  const wanted = [...realServers, director].map(({ name }) => `200 ${name}`).sort();
  const got = [...new Set(answers)].sort();
  if (got.join() !== wanted.join()) throw new Error(`the client was answered: ${got.join(', ')}`);
  return true;
}
