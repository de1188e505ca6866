import { connect } from 'node:tls';
import { type Channel, openChannel } from '../../src/handoff/channel.ts';
import { createExchange, type Exchange, type ExchangeOptions } from '../../src/handoff/exchange.ts';
import { connecting } from '../../src/handoff/private-channel.ts';
import type { Frame } from '../../src/handoff-schema.ts';

/** Where the front is, and as whom this agent speaks to it. */
export interface FrontAt {
  host: string;
  port: number;
  name: string;
  key: string;
}

/** The way to the front, made again whenever it is gone. */
export interface Link {
  /** Undefined while there is none. */
  exchange(): Exchange | undefined;
  send(frame: Frame): void;
  stop(): void;
}

const retryMs = 500;
const mostRetryMs = 4000;

/** @param met told at each new link which front is there */
export function keepLink(
  to: FrontAt,
  options: Omit<ExchangeOptions, 'channel'>,
  met: (instance: string) => void,
  log: Record<'info' | 'warn', (keys: object, message: string) => void>,
): Link {
  let channel: Channel | undefined;
  let exchange: Exchange | undefined;
  let timer: NodeJS.Timeout | undefined;
  let stopped = false;
  let failures = 0;
  let trouble = '';

  function open(): void {
    const socket = connect({ host: to.host, port: to.port, ...connecting(to.name, to.key, 'link') });
    socket.setNoDelay(true);
    socket.setKeepAlive(true, 5000);
    const made = openChannel(socket, {
      received: (frame) => (frame.kind === 'hello' ? met(frame.instance) : exchange?.received(frame)),
      closed: (error) => {
        exchange?.closed();
        exchange = undefined;
        if (stopped) return;
        const reason = error?.message ?? 'it was closed';
        if (reason !== trouble)
          log.warn({ front: `${to.host}:${to.port}`, reason }, 'no link to the front: it answers by itself');
        trouble = reason;
        timer = setTimeout(open, Math.min(mostRetryMs, retryMs * 2 ** Math.min(failures++, 5)));
      },
    });
    channel = made;
    socket.once('secureConnect', () => {
      failures = 0;
      trouble = '';
      exchange = createExchange({ ...options, channel: made });
      log.info({ front: `${to.host}:${to.port}` }, 'a link to the front');
    });
  }

  open();
  return {
    exchange: () => exchange,
    send: (frame) => channel?.send(frame),
    stop() {
      stopped = true;
      clearTimeout(timer);
      channel?.close();
    },
  };
}
