import { ipvsSysctls } from '../../src/core/ipvs-sysctls.ts';
import { commandOf } from '../../src/core/steps.ts';
import { poolsSchema, reportSchema } from '../../src/schema.ts';
import { createSite, pass, put, reconcile, type Site, teardown } from '../core/site.ts';
import { applyStep, createWorld } from '../fake-kernel.ts';
import { parseCommand } from './command.ts';

/** One "== KIND REST" heading of a scenario and the lines under it. */
interface Section {
  kind: string;
  rest: string;
  lines: string[];
}

/**
 * A scenario is a story in sections, told from top to bottom. What the kernel has, and what the director does about it,
 * are written as the commands that a person would type:
 *
 * - pools: a pools document is PUT (JSON, without the outer "pools")
 * - agents: "rs1 ADDRESS VIP..." is fit for these VIPs, "rs1 ADDRESS" has none yet, "rs1 silent" is forgotten
 * - somebody: commands that somebody else types on the director ("ipvsadm -C" too)
 * - lan: "ADDRESS is-at MAC" is another host that answers, "ADDRESS free" is none any more
 * - connections: "SERVER active inactive persistent", of one real server on every service
 * - wait: that many milliseconds pass
 * - steps, or steps unsettled: the director makes a pass, and these are exactly its steps
 * - teardown: the director is taken away, with exactly these steps
 */
export function parseScenario(text: string): { title: string; sections: Section[] } {
  const [title = '', ...lines] = text.split('\n').filter((line) => line.trim() !== '' && !line.startsWith('#'));
  const sections: Section[] = [];
  for (const line of lines) {
    const heading = /^== (\S+) ?(.*)$/.exec(line);
    if (heading) sections.push({ kind: heading[1]!, rest: heading[2]!, lines: [] });
    else sections.at(-1)?.lines.push(line);
  }
  return { title, sections };
}

/** Plays the scenario; the answer is it told again, with the steps that the director really took. */
export function play({ title, sections }: ReturnType<typeof parseScenario>): string[] {
  const world = createWorld();
  // Told of once, in the tests of the ledger; here they are as they must be.
  for (const { key, value } of ipvsSysctls) world.sysctls.set(key, value);
  const site = createSite({ world });
  return [
    title,
    ...sections.flatMap(({ kind, rest, lines }) => [
      `== ${kind}${rest && ` ${rest}`}`,
      ...(act(site, kind, rest, lines) ?? lines),
    ]),
  ];
}

function act(site: Site, kind: string, rest: string, lines: string[]): string[] | undefined {
  const words = lines.map((line) => line.split(' '));
  switch (kind) {
    case 'pools':
      put(site, poolsSchema.parse(JSON.parse(lines.join('\n'))));
      return undefined;
    case 'agents':
      for (const line of words) site.agents = withAgent(site, line);
      return undefined;
    case 'somebody':
      for (const line of lines) type(site, line);
      return undefined;
    case 'lan':
      for (const [address = '', verb, mac = ''] of words)
        if (verb === 'is-at') site.conflicts.set(address, mac);
        else site.conflicts.delete(address);
      return undefined;
    case 'connections':
      for (const [address, ...counts] of words) connect(site, address, counts.map(Number));
      return undefined;
    case 'wait':
      pass(site, Number(rest));
      return undefined;
    case 'steps':
      return reconcile(site, { settled: rest !== 'unsettled' }).steps.map(commandOf);
    case 'teardown':
      return teardown(site).steps.map(commandOf);
    default:
      throw new Error(`no scenario has a section "${kind}"`);
  }
}

function type(site: Site, line: string): void {
  if (line === 'ipvsadm -C') site.world.services.clear();
  else {
    const refused = applyStep(site.world, parseCommand(line));
    if (refused) throw new Error(`${line}: ${refused}`);
  }
}

function withAgent({ agents }: Site, [name = '', address = '', ...vips]: string[]): Site['agents'] {
  const others = [...agents].filter(([known]) => known !== name);
  if (address === 'silent') return new Map(others);
  const report = reportSchema.parse({
    protocol: 1,
    machineId: name,
    bootId: 'b',
    revision: 1,
    addresses: [address],
    vips: Object.fromEntries(vips.map((vip) => [vip, { present: true, suppressed: true }])),
  });
  return new Map([...others, [name, { report, lastReport: 1 }]]);
}

function connect(site: Site, address: string | undefined, [active = 0, inactive = 0, persistent = 0]: number[]): void {
  for (const { destinations } of site.world.services.values())
    for (const destination of destinations)
      if (destination.address === address) destination.connections = { active, inactive, persistent };
}
