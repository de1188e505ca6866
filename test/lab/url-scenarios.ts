// What clients do to a port whose URLs are read, one connection a scenario, byte by byte; run in the client's host.
// url-scenarios.ts VIP TIMES PARALLEL [NAME...] prints one line of JSON.
import { createHash } from 'node:crypto';
import { connect, type Socket } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { pathToFileURL } from 'node:url';

/** Bytes of each image, by its name. */
export const images = { small: 8_000, middle: 100_000, large: 10_000_000 } as const;
/** The same on every host. */
export const imageBytes = (length: number): Buffer => Buffer.alloc(length, 'an image of a test, ');

export interface Result {
  name: string;
  ms: number;
  /** Undefined when all was as it must be. */
  problem?: string;
}

interface Answer {
  status: number;
  headers: Record<string, string>;
  body: Buffer;
}

/** A connection that is read answer by answer. */
class Client {
  readonly socket: Socket;
  #got = Buffer.alloc(0);
  #wake = () => {};
  #over: string | undefined;

  constructor(host: string) {
    this.socket = connect({ host, port: 80, allowHalfOpen: true, noDelay: true });
    this.socket.on('data', (data) => {
      this.#got = this.#got.length === 0 ? data : Buffer.concat([this.#got, data]);
      this.#wake();
    });
    const over = (why: string) => {
      this.#over ??= why;
      this.#wake();
    };
    this.socket.on('end', () => over('the server closed'));
    this.socket.on('error', ({ message }) => over(message));
    this.socket.on('close', () => over('closed'));
  }

  write(text: string | Buffer): void {
    this.socket.write(text);
  }

  async #more(what: string): Promise<void> {
    if (this.#over !== undefined) throw new Error(`${this.#over} while waiting for ${what}`);
    await new Promise<void>((resolve) => {
      this.#wake = resolve;
    });
  }

  async #bytes(count: number, what: string): Promise<Buffer> {
    const parts: Buffer[] = [];
    let left = count;
    while (left > 0) {
      while (this.#got.length === 0) await this.#more(`${left} of ${count} bytes of ${what}`);
      const part = this.#got.subarray(0, left);
      this.#got = this.#got.subarray(part.length);
      parts.push(part);
      left -= part.length;
    }
    return Buffer.concat(parts);
  }

  async #line(what: string): Promise<string> {
    let end = this.#got.indexOf('\r\n');
    while (end < 0) {
      await this.#more(what);
      end = this.#got.indexOf('\r\n');
    }
    const line = this.#got.subarray(0, end).toString('latin1');
    this.#got = this.#got.subarray(end + 2);
    return line;
  }

  async answer(method = 'GET'): Promise<Answer> {
    const first = await this.#line('an answer');
    const status = Number(/^HTTP\/1\.1 (\d{3})/.exec(first)?.[1]);
    if (!status) throw new Error(`an answer that begins with ${JSON.stringify(first.slice(0, 60))}`);
    const headers: Record<string, string> = {};
    for (let line = await this.#line('a head'); line !== ''; line = await this.#line('a head')) {
      const [, name = '', value = ''] = /^([^:]+):\s*(.*)$/.exec(line) ?? [];
      headers[name.toLowerCase()] = value;
    }
    if (status === 100) return this.answer(method);
    const parts: Buffer[] = [];
    if (method === 'HEAD' || status === 304) return { status, headers, body: Buffer.alloc(0) };
    if (headers['transfer-encoding'] === 'chunked')
      for (;;) {
        const length = Number.parseInt(await this.#line('a chunk'), 16);
        parts.push(await this.#bytes(length, 'a chunk'));
        await this.#line('the end of a chunk');
        if (length === 0) break;
      }
    else parts.push(await this.#bytes(Number(headers['content-length'] ?? 0), 'a body'));
    return { status, headers, body: Buffer.concat(parts) };
  }

  /** That the server ends the connection too, without a reset. */
  async ended(): Promise<void> {
    while (this.#over === undefined) await this.#more('the end');
    if (this.#over !== 'the server closed' && this.#over !== 'closed') throw new Error(this.#over);
  }
}

const host = 'www.example.com';
const get = (path: string, more = '') => `GET ${path} HTTP/1.1\r\nHost: ${host}\r\n${more}\r\n`;
const jpg = (size: keyof typeof images, more = '') => get(`/images/${size}.jpg?v=1`, more);
const php = (query = 'a', more = '') => get(`/index.php?${query}`, more);

function expect(is: unknown, want: unknown, what: string): void {
  if (is !== want) throw new Error(`${what} is ${String(is)}, not ${String(want)}`);
}

async function image(client: Client, size: keyof typeof images): Promise<void> {
  const { status, body, headers } = await client.answer();
  expect(status, 200, 'status of the image');
  expect(headers['content-type'], 'image/jpeg', 'type of the image');
  expect(body.length, images[size], 'length of the image');
  if (!body.equals(imageBytes(images[size]))) throw new Error('the image has other bytes');
}

async function page(client: Client, query = 'a', body?: Buffer): Promise<void> {
  const answer = await client.answer();
  expect(answer.status, 200, 'status of the page');
  const said = JSON.parse(answer.body.toString()) as Record<string, unknown>;
  expect(said.query, query, 'query that PHP got');
  expect(said.forwarded, (client.socket as Socket).localAddress, 'client that PHP was told');
  if (body) expect(said.md5, createHash('md5').update(body).digest('hex'), 'MD5 of the body that PHP got');
}

const post = (body: Buffer) =>
  Buffer.concat([
    Buffer.from(`POST /index.php?p HTTP/1.1\r\nHost: ${host}\r\nContent-Length: ${body.length}\r\n\r\n`),
    body,
  ]);
const upload = imageBytes(300_000);

const scenarios: Record<string, (client: Client) => Promise<void>> = {
  php: async (c) => {
    c.write(php());
    await page(c);
  },
  jpg: async (c) => {
    c.write(jpg('small'));
    await image(c, 'small');
  },
  'jpg, then close': async (c) => {
    c.write(jpg('small', 'Connection: close\r\n'));
    await image(c, 'small');
    await c.ended();
  },
  'jpg php jpg php jpg': async (c) => {
    for (const kind of ['jpg', 'php', 'jpg', 'php', 'jpg']) {
      c.write(kind === 'jpg' ? jpg('middle') : php(kind));
      await (kind === 'jpg' ? image(c, 'middle') : page(c, kind));
    }
  },
  'php first': async (c) => {
    c.write(php());
    await page(c);
    c.write(jpg('small'));
    await image(c, 'small');
  },
  'two jpg in one packet': async (c) => {
    c.write(jpg('small') + jpg('middle'));
    await image(c, 'small');
    await image(c, 'middle');
  },
  'jpg and php in one packet': async (c) => {
    c.write(jpg('small') + php('x') + jpg('small'));
    await image(c, 'small');
    await page(c, 'x');
    await image(c, 'small');
  },
  'bytes during the hand-off': async (c) => {
    c.write(jpg('small'));
    for (const piece of [jpg('small').slice(0, 30), jpg('small').slice(30)]) {
      await sleep(2);
      c.write(piece);
    }
    await image(c, 'small');
    await image(c, 'small');
  },
  'a head in pieces': async (c) => {
    const text = jpg('small');
    for (let at = 0; at < text.length; at += 25) {
      c.write(text.slice(at, at + 25));
      await sleep(5);
    }
    await image(c, 'small');
  },
  'FIN with the jpg': async (c) => {
    c.socket.end(jpg('small'));
    await image(c, 'small');
    await c.ended();
  },
  'FIN soon after the jpg': async (c) => {
    c.write(jpg('middle'));
    await sleep(3);
    c.socket.end();
    await image(c, 'middle');
    await c.ended();
  },
  'FIN with the php': async (c) => {
    c.socket.end(php());
    await page(c);
    await c.ended();
  },
  POST: async (c) => {
    c.write(post(upload));
    await page(c, 'p', upload);
  },
  'jpg, then POST': async (c) => {
    c.write(jpg('small'));
    await image(c, 'small');
    c.write(post(upload));
    await page(c, 'p', upload);
    c.write(jpg('small'));
    await image(c, 'small');
  },
  'HEAD and If-None-Match': async (c) => {
    c.write(jpg('small').replace('GET', 'HEAD'));
    const { status, headers } = await c.answer('HEAD');
    expect(status, 200, 'status');
    expect(headers['content-length'], String(images.small), 'length');
    c.write(jpg('small', `If-None-Match: ${headers.etag}\r\n`));
    // Another server may answer this one, and calls the same bytes by another name.
    const again = await c.answer();
    if (again.status !== 304) expect(again.body.length, images.small, 'length of what is not called the same');
  },
  'a range': async (c) => {
    c.write(jpg('middle', 'Range: bytes=1000-1999\r\n'));
    const { status, body } = await c.answer();
    expect(status, 206, 'status of a part');
    expect(body.equals(imageBytes(images.middle).subarray(1000, 2000)), true, 'that the part is right');
  },
  'a jpg that nobody has': async (c) => {
    c.write(get('/images/missing.jpg'));
    expect((await c.answer()).status, 404, 'status');
    c.write(jpg('small'));
    await image(c, 'small');
  },
  '10 MB': async (c) => {
    c.write(jpg('large'));
    await image(c, 'large');
  },
  '10 MB, read slowly': async (c) => {
    c.write(jpg('large'));
    const timer = setInterval(() => {
      c.socket.pause();
      setTimeout(() => c.socket.resume(), 60);
    }, 100);
    await image(c, 'large').finally(() => clearInterval(timer));
  },
};

export const scenarioNames = Object.keys(scenarios);

const patienceMs = 60_000;

async function runOnce(vip: string, name: string): Promise<Result> {
  const began = performance.now();
  const client = new Client(vip);
  let problem: string | undefined;
  try {
    await Promise.race([
      scenarios[name]?.(client),
      sleep(patienceMs, undefined, { ref: false }).then(() => {
        throw new Error(`no end within ${patienceMs} ms`);
      }),
    ]);
  } catch (error) {
    problem = (error as Error).message;
  }
  client.socket.destroy();
  return { name, ms: Math.round(performance.now() - began), ...(problem !== undefined && { problem }) };
}

async function main([vip = '', times = '1', parallel = '1', ...names]: string[]): Promise<void> {
  const chosen = names.length > 0 ? names : scenarioNames;
  const jobs = Array.from({ length: Number(times) }, () => chosen).flat();
  const results: Result[] = [];
  const worker = async () => {
    for (let job = jobs.shift(); job !== undefined; job = jobs.shift()) results.push(await runOnce(vip, job));
  };
  await Promise.all(Array.from({ length: Number(parallel) }, worker));
  await new Promise<void>((resolve) => process.stdout.write(`${JSON.stringify(results)}\n`, () => resolve()));
}

if (import.meta.url === pathToFileURL(process.argv[1] ?? '').href)
  void main(process.argv.slice(2)).then(() => process.exit(0));
