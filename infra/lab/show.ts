// The lab's inside, run as root where its hosts are: makes them, starts the parts, creates the pool, drives traffic.

import { setTimeout as sleep } from 'node:timers/promises';
import type { Event, Settings } from './events.ts';
import type { Program } from './host.ts';
import { type Lab, makeLab, vip } from './hosts.ts';
import { images, measure } from './measure.ts';
import { ports, startAgent, startApiBridge, startController, startHaproxy, startImages, startPhp } from './parts.ts';
import { poolOf, withWeight } from './pool.ts';
import { waitFor } from './wait.ts';

const settings = JSON.parse(process.argv[2] ?? '') as Settings;
const api = `http://127.0.0.1:${ports.controller}`;

const tell = (event: Event): unknown => process.stdout.write(`${JSON.stringify(event)}\n`);
const step = (title: string, means: string): unknown => tell({ type: 'step', title, means });

try {
  process.exitCode = await show();
} catch (error) {
  console.error((error as Error).message);
  process.exit(1);
}

/** Gives the exit code, or never ends. */
async function show(): Promise<number> {
  step(
    'Wire the hosts',
    'a client behind a router; on its LAN the director and the real servers, each with a card of its own',
  );
  const lab = await makeLab(settings);
  await startServers(lab);
  const { bridge, explain } = await startOurPrograms(lab, settings);
  await makePool(lab, explain);
  const result = await measure(lab, settings, tell);
  tell({ type: 'result', result });
  if (settings.stay) {
    const enter = Object.fromEntries(Object.values(lab.hosts).map((host) => [host.name, host.enter([])]));
    tell({ type: 'up', enter });
    for (;;) await sleep(2 ** 30);
  }
  await bridge.end();
  await lab.close();
  return result.goals.every((goal) => goal.met) ? 0 : 1;
}

async function startServers({ director, realServers }: Lab): Promise<void> {
  step(
    'Start the servers',
    'lighttpd with images on every real server; PHP, and HAProxy to compare with, on the director',
  );
  await Promise.all(realServers.map((host) => startImages(host, images)));
  await startPhp(director);
  await startHaproxy(director, realServers);
}

interface OurPrograms {
  bridge: Program;
  /** What explains a failure: the ends of their logs. */
  explain: () => Promise<string>;
}

async function startOurPrograms({ director, realServers }: Lab, { mbit }: Settings): Promise<OurPrograms> {
  step('Start dsr', 'the controller on the director, an agent on every real server');
  const controller = await startController(director, mbit);
  const agents = await Promise.all(realServers.map((host) => startAgent(host, director, mbit)));
  const bridge = await startApiBridge(director, '/run', [`127.0.0.1:${ports.controller}`, ...settings.apiBinds]);
  const explain = async (): Promise<string> => {
    const tails = [controller, ...agents, bridge].map((program) => program.tail());
    return (await Promise.all(tails)).join('\n');
  };
  const answer = async (): Promise<boolean> => (await fetch(`${api}/healthz`)).ok;
  await waitFor(answer, { what: 'the API to answer', explain });
  return { bridge, explain };
}

async function makePool({ director, realServers }: Lab, explain: () => Promise<string>): Promise<void> {
  step(
    'Make the pool',
    `one request: port 80 of ${vip} goes to the real servers, port 8080 stays on the director for PHP`,
  );
  const pool = poolOf(realServers);
  const url = `/v1/pools/web?waitMs=5000`;
  tell({ type: 'note', lines: curlLines(`http://${director.ip}:${ports.controller}${url}`, pool) });
  const response = await fetch(api + url, {
    method: 'PUT',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify(pool),
  });
  if (!response.ok) throw new Error(`the controller answered ${response.status}: ${await response.text()}`);
  // The oracle is ipvsadm, not the controller.
  const table = await waitFor(
    async () => {
      const { stdout } = await director.exec(['ipvsadm', '-Ln']);
      return withWeight(stdout).length === realServers.length ? stdout : '';
    },
    {
      what: 'every real server to get its weight in IPVS',
      everyMs: 200,
      explain: async () => `${await (await fetch(`${api}/v1/status?pool=web`)).text()}\n${await explain()}`,
    },
  );
  tell({ type: 'note', lines: ['', "The director's kernel now says (ipvsadm -Ln):", ...table.trimEnd().split('\n')] });
}

function curlLines(url: string, body: object): string[] {
  const json = JSON.stringify(body, null, 2).replace(
    /\{\s+("(?:policy|address)".*(?:\s+"scheduler".*)?)\s+\}/g,
    (_, inside) => `{ ${inside.replace(/\s+/g, ' ')} }`,
  );
  return [`curl -X PUT '${url}' -H 'content-type: application/json' -d '${json}'`].join('\n').split('\n');
}
