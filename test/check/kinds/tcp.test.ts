import t from 'tap';
import { freePort } from '../../../infra/lab/free-port.ts';
import { openLoopback } from '../open.ts';
import { probe, serve } from './probing.ts';

t.test('a port that takes connections is good', async (t) => {
  const port = await serve(t, () => {});
  t.strictSame(await probe(t, port, { type: 'tcp' }), { kind: 'ok', words: 'takes a connection' });
});

t.test('the connection is closed, not reset', async (t) => {
  const ended = new Promise<string>((resolve) => {
    serve(t, (socket) =>
      socket
        .on('end', () => resolve('end'))
        .on('error', () => resolve('error'))
        .resume(),
    ).then((port) => probe(t, port, { type: 'tcp' }));
  });
  t.equal(await ended, 'end');
});

t.test('a port where nothing listens is refused', async (t) => {
  const port = await freePort();
  t.strictSame(await probe(t, port, { type: 'tcp' }), {
    kind: 'refused',
    words: `192.0.2.100:${port} is refused: nothing listens there on this server`,
  });
});

t.test('a connection that does not come in time is a timeout while connecting', async (t) => {
  const open = {
    ...openLoopback(),
    stream: (_: number, signal: AbortSignal) =>
      new Promise<never>((_, reject) => signal.addEventListener('abort', () => reject(signal.reason))),
  };
  t.strictSame(await probe(t, 80, { type: 'tcp', timeoutMs: 20 }, { open }), {
    kind: 'timeout',
    words: '192.0.2.100:80 takes no connection within 20 ms: no answer while connecting',
  });
});

t.test('a signal that is aborted already is a timeout', async (t) => {
  const port = await serve(t, () => {});
  t.match(await probe(t, port, { type: 'tcp' }, { signal: AbortSignal.abort() }), { kind: 'timeout' });
});
