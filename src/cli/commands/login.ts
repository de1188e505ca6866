import { mkdir, readFile, realpath } from 'node:fs/promises';
import { dirname, resolve } from 'node:path';
import type { Command } from 'commander';
import { CodedError } from '../../errors.ts';
import { writeWhole } from '../../store/whole-file.ts';
import type { Act } from '../cli.ts';
import { type Client, Refusal } from '../client.ts';
import { type Settings, settingsSpec } from '../settings.ts';
import { whoText } from '../view/access.ts';
import { statusSchema, whoamiSchema } from '../view/answers.ts';
import { visible } from '../view/text.ts';
import { isObject } from '../view/tree.ts';

/** dsrctl login */
export function addLogin(program: Command, act: Act): void {
  program
    .command('login')
    .description(
      'try a controller, then keep where it is, its token and its authority, so that later calls need no flags',
    )
    .argument('<url>', 'such as https://192.0.2.10:7100; with --token-file or --token, and --ca-sha256 or --ca')
    .action(
      act<{ config?: string }>(async (cli, [url = ''], { config }) => {
        const { client, connection, settings, io, note } = cli;
        await client.call('GET', 'v1/status', statusSchema);
        const who = await whoIs(client);
        const path = config ?? settingsSpec(io.env).configFile;
        await keep(path, toKeep(settings, url, await connection.token()));
        note(`${url} is what dsrctl speaks to from now on${who}: kept in ${path}`);
        return 0;
      }, 'anew'),
    );
}

/** Older controllers do not tell it. */
async function whoIs(client: Client): Promise<string> {
  try {
    return `, as ${whoText((await client.call('GET', 'v1/whoami', whoamiSchema)).value)}`;
  } catch (error) {
    if (error instanceof Refusal && error.status === 404) return '';
    throw error;
  }
}

/** What later calls need. Files are named by their whole path, since those calls come from other folders. */
function toKeep({ tokenFile, ca, caSha256, insecure }: Settings, controller: string, token: string | undefined) {
  const file = tokenFile === undefined || tokenFile === '-' ? undefined : resolve(tokenFile);
  return {
    controller,
    token: file === undefined ? token : undefined,
    tokenFile: file,
    ca: ca && resolve(ca),
    caSha256,
    insecure: insecure || undefined,
  };
}

/** Puts these settings in place of what the file has of them; all others stay. Throws BAD_FILE. */
async function keep(path: string, settings: Record<string, unknown>): Promise<void> {
  try {
    const before = await readFile(path, 'utf8').catch((error: NodeJS.ErrnoException) => {
      if (error.code === 'ENOENT') return '{}';
      throw error;
    });
    await mkdir(dirname(path), { recursive: true, mode: 0o700 });
    // What a link leads to is replaced, not the link.
    const whole = await realpath(path).catch(() => path);
    await writeWhole(whole, `${JSON.stringify({ ...objectIn(before), ...settings }, null, 2)}\n`, 0o600);
  } catch (error) {
    const { message } = error as Error;
    throw new CodedError(
      'BAD_FILE',
      `the controller is fine, but ${visible(path)} cannot be written: ${visible(message)}`,
    );
  }
}

function objectIn(text: string): Record<string, unknown> {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {}
  if (isObject(value)) return value;
  throw new Error('what is in it is no JSON object; correct it, or move it away');
}
