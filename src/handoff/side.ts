import type { IncomingMessage } from 'node:http';
import type { Socket } from 'node:net';
import { Duplex } from 'node:stream';
import type { Tuple } from '../core/handoff/tcp-state.ts';
import type { RequestHead } from '../core/url/request.ts';

/** A client that never closes its half of a connection is not waited for any longer. */
export const lingerMs = 2000;

/** A client's connection, as node's HTTP server sees it: what passes the gate. */
export class Side extends Duplex {
  /** The request that is answered now, where the gate has read its head. */
  head: RequestHead | undefined;
  readonly tuple: Tuple;
  readonly service: object;
  /** Requests whose answer is not written whole yet. */
  readonly underWay = new Set<IncomingMessage>();
  /** Told when another one begins, and when one is answered. */
  changed: () => void = () => {};
  #socket: Socket | undefined;
  readonly #wanted: () => void;

  constructor(socket: Socket, tuple: Tuple, service: object, wanted: () => void) {
    super({ allowHalfOpen: true, decodeStrings: true });
    this.#socket = socket;
    this.tuple = tuple;
    this.service = service;
    this.#wanted = wanted;
  }

  override _read(): void {
    this.#wanted();
  }

  override _write(chunk: Buffer, _: BufferEncoding, done: (error?: Error | null) => void): void {
    if (!this.#socket || this.#socket.destroyed) {
      done(new Error('the connection is gone'));
      return;
    }
    this.#socket.write(chunk, (error) => done(error));
  }

  override _writev(chunks: { chunk: Buffer }[], done: (error?: Error | null) => void): void {
    this._write(Buffer.concat(chunks.map(({ chunk }) => chunk)), 'binary', done);
  }

  override _final(done: () => void): void {
    const socket = this.#socket;
    socket?.end();
    // The client may never close its half.
    setTimeout(() => socket?.destroy(), lingerMs).unref();
    done();
  }

  /** Ends for the HTTP server alone. */
  release(): void {
    this.#socket = undefined;
    this.destroy();
  }

  override _destroy(error: Error | null, done: (error?: Error | null) => void): void {
    this.#socket?.destroySoon();
    done(error);
  }
}
