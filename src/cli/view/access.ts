import type { AuditEntry, TokensAnswer, Whoami } from './answers.ts';
import { table } from './table.ts';
import { bold, dim, type Line, type Span, styled } from './text.ts';

/** "2026-05-01 12:30:00Z" of RFC 3339. */
export const timeText = (time: string): string => time.replace('T', ' ').replace(/\.\d+Z$/, 'Z');

/** "until …" of a token's end. */
export const untilText = (expires: string | null): string =>
  expires === null ? 'without an end' : `until ${timeText(expires)}`;

export const tokenList = ({ tokens }: TokensAnswer): Line[] =>
  table(
    ['ID', 'ROLE', 'NAME', 'MACHINE', 'CREATED', 'EXPIRES'],
    tokens.map(({ id, role, name, machineId, created, expires, expired }) => [
      id,
      role,
      name,
      machineId ?? '',
      created === null ? '' : timeText(created),
      expires === null ? 'never' : expired ? styled('red', `expired ${timeText(expires)}`) : timeText(expires),
    ]),
  );

const statusSpan = (status: number): Span => (status < 400 ? String(status) : styled('yellow', String(status)));
const fromText = (from: string | null) => from ?? 'socket';

/** Who changed what, and who was refused. */
export const auditTable = (entries: readonly AuditEntry[]): Line[] =>
  table(
    ['TIME', 'WHO', 'FROM', 'WHAT', '>STATUS', 'REASON'],
    entries.map(({ time, who, from, what, status, reason = '' }) => [
      timeText(time),
      who,
      fromText(from),
      what,
      statusSpan(status),
      reason,
    ]),
  );

/** One entry, where nobody knows how wide those after it are. */
export const auditLine = ({ time, who, from, what, status, reason }: AuditEntry): Line => [
  dim(timeText(time)),
  '  ',
  bold(who),
  `  ${fromText(from)}  ${what}  `,
  statusSpan(status),
  ...(reason === undefined ? [] : [`  ${reason}`]),
];

/** Those of `now`, the newest of a list, that were added since it was `before`; all where the two do not meet. */
export function newIn<T>(now: readonly T[], before: readonly T[]): readonly T[] {
  const [present, past] = [now, before].map((list) => list.map((one) => JSON.stringify(one)));
  for (let known = Math.min(now.length, before.length); known > 0; known--)
    if (present?.slice(0, known).join() === past?.slice(-known).join()) return now.slice(known);
  return now;
}

/** Who the controller takes the user for. */
export function whoText({ kind, role, name }: Whoami): string {
  if (kind === 'key') return `${role === 'admin' ? 'administrator' : role} "${name}"`;
  return kind === 'anybody' ? 'anybody: this controller trusts everybody' : kind;
}
