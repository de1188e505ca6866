// Frames on a card, as tcpdump sees them.
import { readFile } from 'node:fs/promises';
import type { Host } from '../../infra/lab/host.ts';
import { waitFor } from '../../infra/lab/wait.ts';

export interface Frame {
  /** Ethernet addresses. */
  from: string;
  to: string;
  /** What tcpdump makes of the rest. */
  text: string;
}

export interface Capture {
  /** Those seen so far. */
  frames: () => Promise<Frame[]>;
  /** Waits until `seen` finds what it looks for, and ends the capture: all frames. */
  stop: (seen: (frames: Frame[]) => boolean, what: string) => Promise<Frame[]>;
}

let count = 0;

/** Captures what passes a card; frames from then on are seen when it returns. */
export async function capture(host: Host, card: string, filter: string): Promise<Capture> {
  const tcpdump = host.spawn(`capture-${++count}`, [
    ...['tcpdump', '-Z', 'root', '-elnnt', '--immediate-mode', '-s', '192', '-i', card],
    filter,
  ]);
  const log = () => readFile(tcpdump.log, 'utf8');
  await waitFor(async () => (await log()).includes('listening on'), { what: 'tcpdump', explain: tcpdump.tail });
  const frames = async () => (await log()).split('\n').flatMap(parse);
  return {
    frames,
    stop: async (seen, what) => {
      await waitFor(async () => seen(await frames()), { what, explain: tcpdump.tail });
      await tcpdump.end('SIGINT');
      const lost = /^(\d+) packets dropped by kernel/m.exec(await log())?.[1];
      if (lost !== '0') throw new Error(`tcpdump lost ${lost} frames`);
      return frames();
    },
  };
}

function parse(line: string): Frame[] {
  const match = /^([0-9a-f:]{17}) > ([0-9a-f:]{17}|Broadcast), (.*)$/.exec(line);
  return match ? [{ from: match[1] ?? '', to: match[2] ?? '', text: match[3] ?? '' }] : [];
}
