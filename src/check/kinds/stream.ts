import type { Socket } from 'node:net';
import type { Outcome } from '../../core/health.ts';
import type { Probe } from '../open.ts';
import { outcomeOf } from './faults.ts';

/** Settles as `start` says; rejects with the signal's reason when that comes first. */
export async function untilAborted<T>(
  signal: AbortSignal,
  start: (resolve: (value: T) => void, reject: (reason: unknown) => void) => void,
): Promise<T> {
  signal.throwIfAborted();
  let abort = () => {};
  try {
    return await new Promise<T>((resolve, reject) => {
      abort = () => reject(signal.reason);
      signal.addEventListener('abort', abort);
      start(resolve, reject);
    });
  } finally {
    signal.removeEventListener('abort', abort);
  }
}

/** Connects, lets `use` make an outcome of the connection, and closes it in any case. Throws what keeps it from connecting. */
export async function withStream(probe: Probe, use: (socket: Socket) => Outcome | Promise<Outcome>): Promise<Outcome> {
  const socket = await probe.open.stream(probe.port, probe.signal);
  // An error may still come when nobody waits for one any more.
  socket.on('error', ignore);
  try {
    return await use(socket);
  } catch (error) {
    return outcomeOf(error, probe, socket.bytesRead > 0 ? 'rest' : 'answer');
  } finally {
    socket.destroy();
  }
}

export const ignore = (): void => {};

/** What has come of a stream when it is `enough`, when the other side has ended it, or when it is `max` bytes or more. */
export function collect(
  socket: Socket,
  signal: AbortSignal,
  max: number,
  enough: (soFar: Buffer) => boolean,
): Promise<Buffer> {
  return untilAborted(signal, (resolve, reject) => {
    let soFar: Buffer = Buffer.alloc(0);
    socket.on('data', (chunk: Buffer) => {
      soFar = soFar.length === 0 ? chunk : Buffer.concat([soFar, chunk]);
      if (soFar.length < max && !enough(soFar)) return;
      socket.pause();
      resolve(soFar);
    });
    socket.on('end', () => resolve(soFar));
    socket.on('close', () => resolve(soFar));
    socket.on('error', reject);
  });
}
