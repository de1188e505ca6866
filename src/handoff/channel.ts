import type { Duplex } from 'node:stream';
import { type Frame, frameSchema } from '../handoff-schema.ts';

/** Frames to and from the other end of a link. */
export interface Channel {
  /** Nothing happens once the link is gone. */
  send(frame: Frame): void;
  close(): void;
}

export interface ChannelEvents {
  received(frame: Frame): void;
  /** Once; `error`: why, where it was not closed in order. */
  closed(error?: Error): void;
}

/** The largest frame has the head of a request twice, as base64. */
const mostBytes = 1 << 18;

/** Speaks in lines of JSON. What is no frame ends the link. */
export function openChannel(stream: Duplex, { received, closed }: ChannelEvents): Channel {
  let rest = '';
  let failure: Error | undefined;
  const fail = (error: Error) => {
    failure ??= error;
    stream.destroy();
  };
  stream.setEncoding('utf8');
  stream.on('data', (text: string) => {
    const lines = (rest + text).split('\n');
    rest = lines.pop() ?? '';
    if (rest.length > mostBytes) fail(new Error('a frame is too long'));
    for (const line of lines) {
      if (failure) return;
      const frame = parse(line);
      if (frame) received(frame);
      else fail(new Error('what came is no frame: install the same version on both ends'));
    }
  });
  stream.on('error', fail);
  stream.on('end', () => stream.destroy());
  stream.once('close', () => closed(failure));
  return {
    send: (frame) => {
      if (stream.writable) stream.write(`${JSON.stringify(frame)}\n`);
    },
    close: () => stream.destroy(),
  };
}

function parse(line: string): Frame | undefined {
  try {
    return frameSchema.parse(JSON.parse(line));
  } catch {
    return undefined;
  }
}
