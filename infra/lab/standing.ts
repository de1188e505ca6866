// A lab that stays up, started and used by another program of this machine: the dashboard's test and its picture.
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { execa, type ResultPromise } from 'execa';
import { freePort } from './free-port.ts';

const main = join(import.meta.dirname, 'main.ts');
/** A node of its own, into which a test runner loads nothing. */
const node = (argv: readonly string[]): string[] => {
  const kept = ['PATH', 'HOME', 'TSX_DISABLE_CACHE'].flatMap((key) =>
    process.env[key] ? [`${key}=${process.env[key]}`] : [],
  );
  return ['-i', ...kept, process.execPath, '--import', 'tsx', main, ...argv];
};

export interface StandingLab {
  /** Of the controller, with the dashboard at /. */
  url: string;
  /** Runs a command in a host; what it prints. */
  shell(host: string, argv: readonly string[]): Promise<string>;
  /** Lets the client fetch images, as many at once as this, until it is ended. */
  load(atOnce: number): { end(): Promise<void> };
  down(): Promise<void>;
}

export async function standLab(flags: readonly string[]): Promise<StandingLab> {
  const port = await freePort();
  const lab = spawn('env', node(['--port', String(port), ...flags]), {
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  await isUp(lab);
  const shell = (host: string, argv: readonly string[]): ResultPromise =>
    execa('env', node(['shell', host, ...argv]), { stdin: 'pipe' });
  return {
    url: `http://127.0.0.1:${port}/`,
    shell: async (host, argv) => String((await shell(host, argv)).stdout),
    load: (atOnce) => {
      const one = 'while curl -so /dev/null "http://192.0.2.100/images/[1-4].jpg?[1-1000]"; do :; done';
      const loops = Array.from({ length: atOnce }, () => `(${one}) &`).join(' ');
      const running = shell('client', ['sh', '-c', `${loops} wait`]);
      running.catch(() => {}); // it is ended
      return {
        end: async () => {
          running.kill();
          await running.catch(() => {});
        },
      };
    },
    down: async () => {
      lab.kill('SIGTERM');
      if (lab.exitCode === null) await once(lab, 'exit');
    },
  };
}

/** Resolves when the lab says so; rejects with its words when it ends before. */
function isUp(lab: ChildProcess): Promise<void> {
  return new Promise((resolve, reject) => {
    let said = '';
    const hear = (chunk: Buffer) => {
      said = `${said}${chunk}`.slice(-20_000);
      if (said.includes('The lab stays up')) resolve();
    };
    lab.stdout?.on('data', hear);
    lab.stderr?.on('data', hear);
    lab.on('exit', (code) => reject(new Error(`the lab ended with ${code}:\n${said}`)));
  });
}
