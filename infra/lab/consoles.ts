// Shells in a guest from other terminals of this machine: a Unix socket, in a folder that only its owner can enter,
// hands out the guest's consoles.
import { createServer, type Server, type Socket } from 'node:net';
import { createInterface } from 'node:readline';
import type { Duplex } from 'node:stream';
import type { Guest } from './uml.ts';

/** What a client says, each a line of JSON: first a command or `down`, then keys (base64) and sizes. */
export type Say =
  | { command: string; term: string; rows: number; columns: number }
  | { keys: string }
  | { rows: number; columns: number }
  | { down: true };

/** What it hears: output (base64), and last the command's exit code or why there is none. */
export type Hear = { output: string } | { code: number } | { refusal: string };

interface Terminal {
  tty: string;
  stream: Duplex;
  busy: boolean;
  client: Socket | undefined;
}

/** guest-console.sh ends each command by this, the exit code and a bell. */
const mark = '\x1b]dsr-lab;';

/** Serves until it is closed; `down` is called when a client asks for the end of the lab. */
export function serveConsoles(
  path: string,
  { consoles, control }: Pick<Guest, 'consoles' | 'control'>,
  down: () => void,
): Server {
  const terminals = consoles.map((stream, i) => ({ tty: `/dev/tty${i + 3}`, stream, busy: false, client: undefined }));
  for (const terminal of terminals) relayOutput(terminal);
  const server = createServer((client) => {
    let mine: Terminal | undefined;
    client.unref(); // the lab does not wait for its clients
    client.on('error', () => {});
    client.on('close', () => {
      if (mine?.client !== client) return;
      mine.client = undefined;
      control?.write(`hangup ${mine.tty}\n`);
    });
    createInterface({ input: client }).on('line', (line) => {
      const say = JSON.parse(line) as Say;
      if ('down' in say) down();
      else if ('keys' in say) mine?.stream.write(Buffer.from(say.keys, 'base64'));
      else if ('command' in say) mine ??= begin(terminals, client, say);
      else if (mine) control?.write(`size ${mine.tty} ${say.rows} ${say.columns}\n`);
    });
  });
  return server.listen(path);
}

function begin(terminals: Terminal[], client: Socket, say: Extract<Say, { command: string }>): Terminal | undefined {
  const terminal = terminals.find(({ busy }) => !busy);
  if (!terminal) {
    hear(client, { refusal: `all ${terminals.length} consoles of the lab are in use; end one of the shells` });
    return undefined;
  }
  Object.assign(terminal, { busy: true, client });
  terminal.stream.write(`\nrun ${say.rows} ${say.columns} ${say.term} ${say.command}\n`);
  return terminal;
}

function relayOutput(terminal: Terminal): void {
  let held = '';
  terminal.stream.on('data', (chunk: Buffer) => {
    const { output, rest, code } = splitAtEnd(held + chunk.toString('latin1'));
    held = rest;
    const { client } = terminal;
    if (client && output) hear(client, { output: Buffer.from(output, 'latin1').toString('base64') });
    if (code === undefined) return;
    Object.assign(terminal, { busy: false, client: undefined });
    if (client) hear(client, { code });
  });
}

/** `rest` may be the beginning of the mark, and is to be looked at again with what follows. */
function splitAtEnd(text: string): { output: string; rest: string; code?: number } {
  const at = text.indexOf(mark);
  const end = text.indexOf('\x07', at);
  if (at >= 0 && end >= 0)
    return { output: text.slice(0, at), rest: '', code: Number(text.slice(at + mark.length, end)) };
  let length = mark.length - 1;
  while (!mark.startsWith(text.slice(text.length - length))) length -= 1;
  const cut = at >= 0 ? at : text.length - length;
  return { output: text.slice(0, cut), rest: text.slice(cut) };
}

function hear(client: Socket, what: Hear): void {
  const line = `${JSON.stringify(what)}\n`;
  if ('output' in what) client.write(line);
  else client.end(line);
}
