import { execFileSync } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, readdirSync, readlinkSync, renameSync, symlinkSync, truncateSync, writeFileSync } from 'node:fs';
import { type AddressInfo, connect, createServer, type Socket } from 'node:net';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import t, { type Test } from 'tap';
import { createAnswers, directorBehind, type Service } from '../../agents/handoff/answer.ts';
import { webServer } from '../../src/handoff/forward.ts';
import { openGate } from '../../src/handoff/gate.ts';
import { folder } from '../api/site.ts';

const policy: Service['policy'] = {
  policy: 'url',
  engine: 'handoff',
  rules: [{ match: { extensions: ['jpg'] }, to: 'real-servers' }],
  otherwise: 'director',
  affinity: 'none',
};

/** An agent's answers to connections as if they had been handed over; the director says "director" to everything. */
async function answering(t: Test, root: string, isDirectorThere = true) {
  const sockets: Socket[] = [];
  const listen = async (server: ReturnType<typeof createServer>) => {
    server.on('connection', (socket) => sockets.push(socket));
    await once(server.listen(0, '127.0.0.1'), 'listening');
    t.teardown(() => server.close());
    return (server.address() as AddressInfo).port;
  };
  const director = await listen(
    createServer((socket) => {
      socket.on('data', (asked) =>
        socket.write(`HTTP/1.1 200 OK\r\nContent-Length: 8\r\n\r\n${/^HEAD/.test(String(asked)) ? '' : 'director'}`),
      );
    }),
  );
  const answers = createAnswers({
    root,
    server: undefined,
    director: isDirectorThere ? webServer('127.0.0.1', director) : directorBehind(() => undefined),
    log: { warn: () => {} },
  });
  const service: Service = { vip: '127.0.0.1', port: 80, policy, isProbed: false };
  const port = await listen(
    createServer({ allowHalfOpen: true }, (socket) => {
      const tuple = { vip: '127.0.0.1', port: 80, client: '127.0.0.1', clientPort: socket.remotePort ?? 0 };
      openGate(socket, { server: answers.http, tuple, service });
    }),
  );
  t.teardown(() => {
    for (const socket of sockets) socket.destroy();
  });
  const open = () => {
    const socket = connect(port, '127.0.0.1');
    socket.on('error', () => {});
    return socket;
  };
  const ask = async (path: string, method = 'GET'): Promise<string> => {
    const socket = open();
    socket.write(`${method} ${path} HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n`);
    let got = '';
    for await (const data of socket) got += data;
    return got;
  };
  return { ask, open };
}

t.test("files of the folder are sent; whatever leads out of it, or is no file, is the director's", async (t) => {
  const dir = folder(t);
  const real = join(dir, 'real');
  const root = join(dir, 'root');
  mkdirSync(real);
  symlinkSync('real', root);
  writeFileSync(join(dir, 'secret'), 'secret');
  writeFileSync(join(real, 'a.jpg'), 'image');
  symlinkSync('a.jpg', join(real, 'inside.jpg'));
  symlinkSync('../secret', join(real, 'outside.jpg'));
  symlinkSync('/etc', join(real, 'etc'));
  execFileSync('mkfifo', [join(real, 'fifo.jpg')]);
  mkdirSync(join(real, 'folder.jpg'));
  const { ask } = await answering(t, root);
  for (const path of ['/a.jpg', '/inside.jpg']) t.match(await ask(path), /\r\n\r\nimage$/, path);
  for (const path of ['/outside.jpg', '/missing.jpg', '/fifo.jpg', '/folder.jpg', '/etc/x.jpg'])
    for (const method of ['GET', 'HEAD']) {
      const got = await ask(path, method);
      t.match(got, /^HTTP\/1.1 200 OK\r\nContent-Length: 8\r\n/, `${method} ${path}`);
      t.notMatch(got, 'secret');
    }
});

t.test(
  'a file that is asked for again and again is sent whole each time, and as it is now a second later',
  async (t) => {
    const root = folder(t);
    const path = join(root, 'a.jpg');
    const bodyOf = (got: string) => got.slice(got.indexOf('\r\n\r\n') + 4);
    const openFiles = () =>
      readdirSync('/proc/self/fd').filter((fd) => {
        try {
          return readlinkSync(`/proc/self/fd/${fd}`).startsWith(root);
        } catch {
          return false;
        }
      }).length;
    for (const size of [0, 1, 300_000, 20_000_000]) {
      writeFileSync(path, Buffer.alloc(size, 'o'));
      const { ask, open } = await answering(t, root);
      for (let i = 0; i < 3; i++)
        t.ok((await Promise.all([ask('/a.jpg'), ask('/a.jpg')])).every((got) => bodyOf(got) === 'o'.repeat(size)));
      // Who goes away in the midst leaves the file open for the others.
      const gone = open();
      gone.write('GET /a.jpg HTTP/1.1\r\nHost: h\r\n\r\n');
      await once(gone, 'readable');
      gone.destroy();
      t.equal(bodyOf(await ask('/a.jpg')), 'o'.repeat(size));
      t.match(await ask('/a.jpg', 'HEAD'), `Content-Length: ${size}\r\n`);
      writeFileSync(`${path}.new`, 'replaced');
      renameSync(`${path}.new`, path);
      const end = performance.now() + 5000;
      while (bodyOf(await ask('/a.jpg')) !== 'replaced' && performance.now() < end) await sleep(50);
      t.equal(bodyOf(await ask('/a.jpg')), 'replaced');
    }
    const end = performance.now() + 10_000;
    while (openFiles() > 0 && performance.now() < end) await sleep(50);
    t.equal(openFiles(), 0, 'none is kept open');
  },
);

t.test('a file that is cut while it is sent ends the connection, and nothing else is taken for its rest', async (t) => {
  const root = folder(t);
  const bytes = 50_000_000;
  writeFileSync(join(root, 'a.jpg'), '');
  truncateSync(join(root, 'a.jpg'), bytes);
  const { open } = await answering(t, root);
  const socket = open();
  socket.write('GET /a.jpg HTTP/1.1\r\nHost: h\r\n\r\nGET /a.jpg HTTP/1.1\r\nHost: h\r\n\r\n');
  await once(socket, 'readable');
  truncateSync(join(root, 'a.jpg'), 1000);
  let got = 0;
  for await (const data of socket.iterator({ destroyOnReturn: false })) got += (data as Buffer).length;
  t.ok(got < bytes, `${got} bytes`);
});

t.test('a director that cannot be asked is a 502, and the agent lives', async (t) => {
  const { ask } = await answering(t, folder(t), false);
  for (const path of ['/x.php', '/missing.jpg']) t.match(await ask(path), /^HTTP\/1.1 502 /, path);
});
