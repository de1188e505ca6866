import type { AgentsAnswer, Findings, PoolsAnswer, WriteAnswer } from './answers.ts';
import { table } from './table.ts';
import { bold, dim, type Line, type Style, styled } from './text.ts';
import { counted, durationText } from './units.ts';

export const poolList = ({ pools }: PoolsAnswer): Line[] =>
  table(
    ['POOL', 'VIP', '>REAL SERVERS', 'PORTS'],
    Object.entries(pools).map(([name, { vip, ports, realServers }]) => [
      name,
      vip,
      String(Object.keys(realServers).length),
      Object.entries(ports)
        .map(([key, { policy, scheduler }]) => `${key} ${policy === 'real-servers' ? (scheduler ?? '') : policy}`)
        .join(', '),
    ]),
  );

export const realServerList = (pools: PoolsAnswer['pools']): Line[] =>
  table(
    ['POOL', 'REAL SERVER', 'ADDRESS', '>WEIGHT', 'STATE'],
    Object.entries(pools).flatMap(([pool, { realServers }]) =>
      Object.entries(realServers).map(([name, { address, weight, state }]) => [
        pool,
        name,
        address,
        String(weight),
        state === 'active' ? state : styled('yellow', state),
      ]),
    ),
  );

/** @param now milliseconds since the epoch, by the controller's clock */
export const agentList = ({ agents }: AgentsAnswer, now: number): Line[] =>
  table(
    ['AGENT', 'LAST REPORT', 'ADDRESSES', 'VIPS', 'PROBLEMS'],
    Object.entries(agents).map(([name, { addresses, vips, problems, lastReport }]) => {
      const all = Object.values(vips);
      const fit = all.filter(({ present, suppressed }) => present && suppressed).length;
      return [
        name,
        lastReport === null ? 'not since the start' : `${durationText(Math.max(0, now - Date.parse(lastReport)))} ago`,
        addresses.join(' '),
        `${fit} of ${all.length} fit`,
        problems.join('; '),
      ];
    }),
  );

/** What a write came to. */
export function writeLines({ revision, reconciled, missing, draining }: WriteAnswer, waited: boolean): Line[] {
  const drains = draining.length > 0 ? [`draining: ${draining.join(', ')}`] : [];
  if (reconciled) return [`revision ${revision}: stored, and in the director's kernel`, ...drains];
  if (!waited) return [`revision ${revision}: stored`, ...drains];
  return [
    styled('yellow', `revision ${revision}: stored; the director's kernel still lacks:`),
    ...missing.map((reason) => `  ${reason}`),
    ...drains,
  ];
}

const levels: Record<Findings[number]['level'], Style> = {
  ok: 'green',
  warning: 'yellow',
  problem: 'red',
  unknown: 'cyan',
};

/** What the doctor found: the grave first; what is well in one line each. */
export function findingLines(findings: Findings): Line[] {
  const order = ['problem', 'warning', 'unknown', 'ok'] as const;
  const sorted = [...findings].sort((a, b) => order.indexOf(a.level) - order.indexOf(b.level));
  const lines = sorted.flatMap(({ level, host, check, what, why, fix }): Line[] => [
    [styled(levels[level], level.padEnd(7)), '  ', bold(host), `  ${what}  `, dim(check)],
    ...(level === 'ok'
      ? []
      : [
          ...(why ? [`         why: ${why}`] : []),
          ...fix.map((line): Line => ['         ', styled('cyan', line.startsWith('#') ? line : `$ ${line}`)]),
        ]),
  ]);
  const count = (level: string) => findings.filter((finding) => finding.level === level).length;
  return [
    ...lines,
    `${counted(count('problem'), 'problem')}, ${counted(count('warning'), 'warning')}, ${count('unknown')} unknown, ${count('ok')} ok`,
  ];
}

/** One event of the controller. */
export const eventLine = (event: {
  time: string;
  type: string;
  message: string;
  pool?: string | undefined;
  realServer?: string | undefined;
}): Line => {
  const about = [event.pool, event.realServer].filter((part) => part !== undefined).join('/');
  return [
    dim(event.time.replace(/\.\d+Z$/, 'Z')),
    '  ',
    bold(event.type),
    `  ${about ? `${about}: ` : ''}${event.message}`,
  ];
};
