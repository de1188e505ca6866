import type { ExplainAnswer } from './answers.ts';
import { table } from './table.ts';
import { bold, dim, type Line, styled } from './text.ts';

/** Who would answer at one port, and why. */
export function explanationLines({
  pool,
  vip,
  port,
  policy,
  engine,
  to,
  why,
  way,
  realServers,
  notice,
}: ExplainAnswer['answers'][number]): Line[] {
  const about = engine === null ? policy : `${policy}, engine ${engine}`;
  const rows = realServers.map((one) => [
    `  ${one.realServer}`,
    one.address,
    String(one.weight),
    `${one.sharePercent} %`,
    one.reason,
  ]);
  return [
    [bold(to === 'director' ? 'the director' : 'a real server'), `  ${pool}, ${vip} ${port} `, dim(`(${about})`)],
    `  why: ${why}`,
    `  way: ${way}`,
    ...(notice === null ? [] : [styled('yellow', `  ${notice}`)]),
    ...(rows.length > 0 ? table(['  REAL SERVER', 'ADDRESS', '>WEIGHT', '>SHARE', 'WHY'], rows) : []),
  ];
}
