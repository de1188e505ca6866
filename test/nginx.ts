// A real nginx of this machine, on loopback, all of it in a folder of its own.
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { createConnection } from 'node:net';
import { join } from 'node:path';
import { execa } from 'execa';
import { waitFor } from '../infra/lab/wait.ts';

export interface Nginx {
  /** Its main configuration, which includes the file that is tested. */
  main: string;
  /** The file that is included. */
  included: string;
  log: string;
  reload(): void;
  stop(): Promise<void>;
}

const program = '/usr/sbin/nginx';

/** Writes a main configuration as an operator has it, which includes `dir`/dsr*.conf. */
export function nginxFiles(dir: string, http = ''): { main: string; included: string; log: string } {
  const [main, included, log] = ['nginx.conf', 'dsr.conf', 'access.log'].map((name) => join(dir, name)) as [
    string,
    string,
    string,
  ];
  const folders = ['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi'];
  for (const name of ['cache', 'root']) mkdirSync(join(dir, name), { recursive: true });
  writeFileSync(
    main,
    `daemon off;
pid ${dir}/nginx.pid;
error_log ${dir}/error.log warn;
worker_processes 1;
${process.getuid?.() === 0 ? 'user root;' : ''}
events { worker_connections 1024; }
http {
${folders.map((name) => `  ${name}_temp_path ${dir}/${name};`).join('\n')}
  types { image/jpeg jpg; }
${http.includes('access_log') ? '' : '  access_log off;'}
${http}
  include ${dir}/dsr*.conf;
  include ${dir}/state/edge*.conf;
}
`,
  );
  return { main, included, log };
}

/** Whether nginx would take it; else its words. */
export async function nginxTest(main: string): Promise<string | undefined> {
  const { exitCode, stderr } = await execa(program, ['-t', '-q', '-c', main, '-e', 'stderr'], { reject: false });
  return exitCode === 0 ? undefined : stderr;
}

/** @param port one where it listens in the end */
export async function startNginx(files: ReturnType<typeof nginxFiles>, port: number): Promise<Nginx> {
  const words = ['-c', files.main, '-e', 'stderr'];
  const child: ChildProcess = spawn(program, words, { stdio: ['ignore', 'ignore', 'pipe'] });
  let said = '';
  child.stderr?.on('data', (chunk) => {
    said += chunk;
  });
  const ended = once(child, 'exit');
  await waitFor(() => child.exitCode !== null || isOpen(port), { what: 'nginx to listen', timeoutMs: 20_000 });
  if (child.exitCode !== null) throw new Error(`nginx did not start: ${said}`);
  return {
    ...files,
    reload: () => child.kill('SIGHUP'),
    stop: async () => {
      child.kill('SIGTERM');
      await ended;
    },
  };
}

function isOpen(port: number): Promise<true | undefined> {
  return new Promise((resolve) => {
    const socket = createConnection({ host: '127.0.0.1', port });
    socket.once('connect', () => resolve(true)).once('error', () => resolve(undefined));
    socket.once('connect', () => socket.destroy());
  });
}

/** Sends bytes as they are, and gives all that comes back until the other end closes, or nothing comes for a while. */
export function exchange(port: number, bytes: Buffer, quietMs = 300): Promise<string> {
  return new Promise((resolve) => {
    const chunks: Buffer[] = [];
    // Half closed, nginx would take the client for gone.
    const socket = createConnection({ host: '127.0.0.1', port }, () => socket.write(bytes));
    socket.on('data', (chunk) => chunks.push(chunk));
    socket.setTimeout(quietMs, () => socket.destroy());
    socket.on('error', () => {});
    socket.on('close', () => resolve(Buffer.concat(chunks).toString('latin1')));
  });
}

export const readLog = ({ log }: Pick<Nginx, 'log'>): string[] => readFileSync(log, 'utf8').trim().split('\n');
