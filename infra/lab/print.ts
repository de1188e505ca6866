// The lab's words on the terminal: steps as they begin, progress while traffic runs, tables at the end.
import { styleText } from 'node:util';
import type { Event, Result, Traffic } from './events.ts';

type Paint = (format: Parameters<typeof styleText>[0], text: string) => string;

/** Prints events to a terminal, or plainly to a file or pipe. */
export function createPrinter(out: NodeJS.WriteStream): (event: Event) => void {
  const style: Paint = (format, text) => (out.isTTY && !process.env.NO_COLOR ? styleText(format, text) : text);
  let overwrite = ''; // clears the line of progress that the cursor is on
  const line = (text = ''): void => {
    out.write(`${overwrite}${text}\n`);
    overwrite = '';
  };
  let steps = 0;
  return (event) => {
    if (event.type === 'step') {
      steps += 1;
      line();
      line(style('bold', `${steps}. ${event.title}`));
      line(style('dim', `   ${event.means}`));
    } else if (event.type === 'note') {
      for (const text of event.lines) line(`   ${text}`);
    } else if (event.type === 'progress') {
      const text = progressLine(event);
      if (out.isTTY) {
        overwrite = '\r\x1b[K';
        out.write(overwrite + text.slice(0, out.columns - 1));
      } else if (event.second % 3 === 0) line(text);
    } else if (event.type === 'result') {
      for (const text of resultLines(event.result, style)) line(text);
    }
  };
}

/** The hosts and how they are wired, before anything is there. */
export function picture(realServers: number, mbit: number): string[] {
  const speed = `${mbit} Mbit/s`;
  const servers = Array.from({ length: realServers }, (_, i) => `rs${i + 1}       192.0.2.${11 + i}   ${speed}`);
  const shown = realServers > 4 ? [...servers.slice(0, 2), '...', ...servers.slice(-1)] : servers;
  return [
    '                        LAN',
    `client ─── router ───┬─── director  192.0.2.10   ${speed}, owner of the virtual address 192.0.2.100`,
    ...shown.map((text, i) => `                     ${i === shown.length - 1 ? '└' : '├'}─── ${text}`),
  ];
}

function progressLine({ second, seconds, client, cards }: Extract<Event, { type: 'progress' }>): string {
  const bar = '█'.repeat(Math.round((second / seconds) * 10)).padEnd(10, '░');
  const senders = Object.entries(cards).filter(([name]) => name !== 'client' && name !== 'router');
  const sent = list(Object.fromEntries(senders.map(([name, mbit]) => [name, number(mbit)])));
  return `   ${bar} ${second} of ${seconds} s   client gets ${number(client)} Mbit/s   sent: ${sent}`;
}

function resultLines(result: Result, style: Paint): string[] {
  const { mbit, direct, php, haproxy, goals } = result;
  const asked = [
    ['images', host(direct), direct],
    ['PHP', host(php), php],
    ['images', `${host(haproxy)} (HAProxy)`, haproxy],
  ] as const;
  const limited = goals.some(({ met }) => !met) && direct.idle < 0.35;
  return [
    '',
    style('bold', 'Who answered the client'),
    ...columns([
      ['asked for', 'at', 'answers, by who says to have made them', "frames, by the sending card's MAC"],
      ...asked.map(([what, where, { served, frames }]) => [what, where, list(served), list(frames)]),
    ]),
    '',
    style('bold', 'What every card carried while the client fetched images'),
    `${''.padEnd(14)}${'Direct Server Return'.padEnd(42)}HAProxy on the director`,
    cardLine('', cardHead, cardHead),
    ...Object.keys(direct.cards).map((name) => cardLine(name, card(direct, name), card(haproxy, name))),
    '',
    style(
      'bold',
      `With cards of ${mbit} Mbit/s the client got ${number(direct.mbit)} Mbit/s directly and ${number(haproxy.mbit)} Mbit/s through HAProxy`,
    ),
    ...columns(goals.map(({ what, goal, measured }) => [`${what}:`, measured, `(goal: ${goal})`])).map(
      (line, i) => `${goals[i]?.met ? style('green', '  ✓') : style('red', '  ✗')}${line.slice(1)}`,
    ),
    ...(limited
      ? [
          '    The processor was busy, so the cards may not have been the limit: slower ones (10 Mbit/s, say) ask less of it.',
        ]
      : []),
    '',
  ];
}

function host({ url }: Traffic): string {
  return url.replace(/^http:..([^/]+).*/, '$1');
}

/** "rs1 282, rs2 285"; of many real servers only the range. */
function list(values: Record<string, number | string>): string {
  const sorted = Object.entries(values).sort(([a], [b]) => a.localeCompare(b, 'en', { numeric: true }));
  const many = sorted.filter(([name]) => /^rs\d/.test(name));
  const few = many.length > 4 ? sorted.filter(([name]) => !many.some(([other]) => other === name)) : sorted;
  const words = few.map(([name, value]) => `${name} ${value}`);
  if (few === sorted) return words.join(', ');
  const range = many.map(([, value]) => Number(value));
  return [...words, `rs1 to rs${many.length} ${Math.min(...range)} to ${Math.max(...range)} each`].join(', ');
}

/** Indented, as wide as their widest cell. */
function columns(rows: string[][]): string[] {
  const widths = rows.reduce<number[]>((all, row) => row.map((cell, i) => Math.max(all[i] ?? 0, cell.length)), []);
  return rows.map((row) => `  ${row.map((cell, i) => cell.padEnd(widths[i] ?? 0)).join('   ')}`.trimEnd());
}

const cardHead = ['Mbit/s in', 'Mbit/s out', 'MB in', 'MB out'];

function card({ cards }: Traffic, name: string): string[] {
  const { inMbit = 0, outMbit = 0, inBytes = 0, outBytes = 0 } = cards[name] ?? {};
  return [inMbit, outMbit, inBytes / 1e6, outBytes / 1e6].map(number);
}

function cardLine(name: string, ...groups: string[][]): string {
  const cells = groups.map((group) => group.map((cell, i) => cell.padStart(cardHead[i]?.length ?? 0)).join('  '));
  return `  ${name.padEnd(10)}  ${cells.join('      ')}`;
}

function number(value: number): string {
  return value.toFixed(value < 10 ? 1 : 0);
}
