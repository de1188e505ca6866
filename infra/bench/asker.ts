// The client of the URL benchmark: connections that ask for a few objects each, follow redirects, and note when the first byte
// came. Speaks JSON as infra/lab/fetch.ts does: an Ask in, "measuring" and an Answered out. Node's own modules alone.
import { connect, type Socket } from 'node:net';
import { createInterface } from 'node:readline';
import { setTimeout as sleep } from 'node:timers/promises';

export interface Ask {
  host: string;
  port: number;
  path: string;
  /** At once, each followed by the next. */
  connections: number;
  requestsPerConnection: number;
  seconds: number;
}

export interface Answered {
  bytes: number;
  requests: number;
  seconds: number;
  failed: number;
  /** Answers by the header X-Served-By; "unnamed": by a program that sets none. */
  served: Record<string, number>;
  /** From the asking, or the connecting, to the first byte of the answer that has the object. */
  firstByteP50Ms: number | null;
  firstByteP99Ms: number | null;
}

interface Reply {
  status: number;
  location: string | undefined;
  by: string;
  firstByteAt: number;
}

const warmUpMs = 2000;
const patienceMs = 20_000;
const buffer = Buffer.alloc(256 * 1024);
const empty = (): Omit<Answered, 'seconds' | 'firstByteP50Ms' | 'firstByteP99Ms'> => ({
  bytes: 0,
  requests: 0,
  failed: 0,
  served: {},
});
let tally = empty();
let times: number[] = [];

/** A connection that is asked for one object after the other. */
class Connection {
  readonly #socket: Socket;
  readonly #host: string;
  #head = '';
  #left: number | undefined;
  #firstByteAt = 0;
  #reply: Omit<Reply, 'firstByteAt'> | undefined;
  #done: (reply: Reply | Error) => void = () => {};

  constructor(host: string, port: number) {
    this.#host = host;
    this.#socket = connect({
      host,
      port,
      noDelay: true,
      onread: { buffer, callback: (length) => this.#take(length) },
    });
    this.#socket.setTimeout(patienceMs, () => this.#socket.destroy(new Error('no answer')));
    this.#socket.on('error', (error) => this.#done(error));
    this.#socket.on('close', () => this.#done(new Error('closed')));
  }

  async get(path: string): Promise<Reply> {
    this.#head = '';
    this.#left = undefined;
    this.#firstByteAt = 0;
    const answer = new Promise<Reply | Error>((resolve) => {
      this.#done = resolve;
    });
    this.#socket.write(`GET ${path} HTTP/1.1\r\nHost: ${this.#host}\r\n\r\n`);
    const reply = await answer;
    if (reply instanceof Error) throw reply;
    return reply;
  }

  close(): void {
    this.#done = () => {};
    this.#socket.end();
    this.#socket.destroySoon();
  }

  #take(length: number): boolean {
    this.#firstByteAt ||= performance.now();
    tally.bytes += length;
    let body = length;
    if (this.#left === undefined) {
      this.#head += buffer.toString('latin1', 0, length);
      const end = this.#head.indexOf('\r\n\r\n');
      if (end < 0) return true;
      body = this.#head.length - end - 4;
      const head = this.#head.slice(0, end);
      this.#left = Number(/^content-length: (\d+)/im.exec(head)?.[1] ?? body);
      this.#reply = {
        status: Number(head.slice(9, 12)),
        location: /^location: (.*)$/im.exec(head)?.[1]?.trim(),
        by: /^x-served-by: (\S+)/im.exec(head)?.[1] ?? 'unnamed',
      };
    }
    this.#left -= body;
    if (this.#left <= 0 && this.#reply) this.#done({ ...this.#reply, firstByteAt: this.#firstByteAt });
    return true;
  }
}

for await (const line of createInterface({ input: process.stdin })) await askFor(JSON.parse(line) as Ask);

async function askFor(ask: Ask): Promise<void> {
  let over = false;
  const working = Array.from({ length: ask.connections }, async () => {
    while (!over) await visit(ask, () => over);
  });
  await sleep(warmUpMs);
  tally = empty();
  times = [];
  const start = performance.now();
  process.stdout.write('"measuring"\n');
  await sleep(ask.seconds * 1000);
  const seconds = (performance.now() - start) / 1000;
  const sorted = times.toSorted((a, b) => a - b);
  const most = (share: number) => sorted[Math.ceil(sorted.length * share) - 1] ?? null;
  const served = { ...tally.served };
  const answered: Answered = { ...tally, served, seconds, firstByteP50Ms: most(0.5), firstByteP99Ms: most(0.99) };
  over = true;
  await Promise.all(working);
  process.stdout.write(`${JSON.stringify(answered)}\n`);
}

/** A visitor: connections of its own, which end with it. */
async function visit({ host, port, path, requestsPerConnection }: Ask, isOver: () => boolean): Promise<void> {
  const connections = new Map<string, Connection>();
  const to = (where: string): Connection => {
    const known = connections.get(where);
    if (known) return known;
    const [name = '', number = '80'] = where.split(':');
    const made = new Connection(name, Number(number));
    connections.set(where, made);
    return made;
  };
  try {
    for (let i = 0; i < requestsPerConnection && !isOver(); i++) {
      const began = performance.now();
      let reply = await to(`${host}:${port}`).get(path);
      if (reply.status === 302 || reply.status === 307) {
        const { host: where, pathname } = new URL(reply.location ?? '');
        reply = await to(where).get(pathname);
      }
      tally.requests += 1;
      tally.served[reply.by] = (tally.served[reply.by] ?? 0) + 1;
      if (reply.status === 200) times.push(reply.firstByteAt - began);
      else tally.failed += 1;
    }
  } catch {
    tally.failed += 1;
    await sleep(100);
  }
  for (const connection of connections.values()) connection.close();
}
