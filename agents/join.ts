import { mkdirSync, readFileSync } from 'node:fs';
import { dirname } from 'node:path';
import { Command, CommanderError } from 'commander';
import { Agent, request } from 'undici';
import { z } from 'zod';
import { CodedError } from '../src/errors.ts';
import { writeWhole } from '../src/store/whole-file.ts';
import { authorityOf } from '../src/trust/pin.ts';
import { controllerAddresses, machineId, refuseOnDirector } from './identity.ts';
import { keepPass } from './pass.ts';
import { agentSpec } from './settings.ts';

const patienceMs = 10_000;

interface Options {
  token: string;
  caSha256: string;
  config: string;
  stateDir: string;
  interface?: string;
  allowedVips?: string;
}

const joined = z.object({ agent: z.string(), token: z.string(), expiresInSeconds: z.number().nullable() });
const problem = z.object({ detail: z.string() });

/**
 * `dsr-agent join URL --token T --ca-sha256 H`: makes an invitation into this host's own token, and writes it and the
 * config file. Nothing is sent to a controller with another authority.
 *
 * @param argv words after `join`
 * @returns what to tell
 */
export async function join(argv: readonly string[], env: NodeJS.ProcessEnv): Promise<string | undefined> {
  const given = parse(argv, env);
  if (!given) return undefined;
  const { url, options } = given;
  refuseOnDirector(await controllerAddresses(url.href));
  mkdirSync(options.stateDir, { recursive: true, mode: 0o700 });
  const settings = readConfig(options.config);
  const ca = await authorityOf(url, options.caSha256, patienceMs).catch((error: Error) => {
    throw error instanceof CodedError ? error : unreachable(url, error);
  });
  const answer = await redeem(url, ca, options.token, machineId(options.stateDir));
  const { token: _, insecure: __, ...kept } = settings;
  const config = {
    ...kept,
    controller: url.origin,
    name: answer.agent,
    ...(options.stateDir !== usualStateDir && { stateDir: options.stateDir }),
    ...(options.interface !== undefined && { interface: options.interface }),
    ...(options.allowedVips !== undefined && { allowedVips: options.allowedVips.split(',') }),
  };
  try {
    await keepPass(options.stateDir, answer, ca, Date.now());
    mkdirSync(dirname(options.config), { recursive: true });
    await writeWhole(options.config, `${JSON.stringify(config, undefined, 2)}\n`, 0o644);
  } catch (error) {
    throw new CodedError(
      'STATE_NOT_SAVED',
      `the invitation is used up, and this host could not keep what it got for it (${(error as Error).message}): make room, or correct the owner of the folder; then on the director: dsrctl agent invite ${answer.agent}`,
      1,
      { cause: error },
    );
  }
  return `this host has joined ${url.origin} as "${answer.agent}" (${options.config}). Now: systemctl enable dsr-agent && systemctl restart dsr-agent`;
}

const usualStateDir = '/var/lib/dsr';

function parse(argv: readonly string[], env: NodeJS.ProcessEnv): { url: URL; options: Options } | undefined {
  const program = new Command('dsr-agent join')
    .description("Lets this host into a director's pools, with the line that `dsrctl agent invite` printed there.")
    .argument('<url>', "the controller's URL, such as https://192.0.2.10:7100")
    .requiredOption('--token <token>', 'the invitation')
    .requiredOption('--ca-sha256 <hash>', "SHA-256 of the certificate of the controller's authority")
    .option('--config <file>', 'config file that is written', env.DSR_CONFIG ?? agentSpec.configFile)
    .option('--state-dir <dir>', 'folder for what must outlive a restart', env.DSR_STATE_DIR ?? usualStateDir)
    .option('--interface <name>', "interface that carries this real server's address (default: found by that address)")
    .option('--allowed-vips <networks>', 'networks that a VIP may lie in, such as 192.0.2.0/24 (default: any)')
    .exitOverride()
    .configureOutput({ writeErr: () => {} });
  try {
    program.parse(argv, { from: 'user' });
  } catch (error) {
    if (!(error instanceof CommanderError)) throw error;
    if (error.exitCode === 0) return undefined;
    throw bad(`${error.message.replace(/^error: /, '')}; dsr-agent join --help lists what there is`);
  }
  const [text = ''] = program.args;
  const options = program.opts<Options>();
  if (!URL.canParse(text) || new URL(text).protocol !== 'https:')
    throw bad(`"${text}" is not the controller's URL: it begins with https://`);
  const hash = options.caSha256.replaceAll(':', '').toLowerCase();
  if (!/^[0-9a-f]{64}$/.test(hash)) throw bad('--ca-sha256: 64 hexadecimal digits belong here');
  if (!/^dsr_[0-9a-f]{16}_[\w-]{43}$/.test(options.token))
    throw bad('--token: this is no token; copy the whole line that `dsrctl agent invite` printed');
  // The rest is judged as the settings of the agent are.
  const check = agentSpec.settings.safeParse({
    controller: text,
    name: 'x',
    ...(options.interface !== undefined && { interface: options.interface }),
    ...(options.allowedVips !== undefined && { allowedVips: options.allowedVips.split(',') }),
    stateDir: options.stateDir,
  });
  const [issue] = check.error?.issues ?? [];
  if (issue) throw bad(`${issue.path.join('.')}: ${issue.message}`);
  return { url: new URL(text), options: { ...options, caSha256: hash } };
}

const bad = (message: string) => new CodedError('BAD_SETTING', message, 2);

function readConfig(path: string): Record<string, unknown> {
  let text: string;
  try {
    text = readFileSync(path, 'utf8');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return {};
    throw bad(`the config file ${path} cannot be read: ${(error as Error).message}`);
  }
  try {
    const value: unknown = JSON.parse(text);
    if (typeof value === 'object' && value !== null && !Array.isArray(value)) return value as Record<string, unknown>;
  } catch {}
  throw bad(`the config file ${path} is not a JSON object: correct it or move it away, then join again`);
}

/** A failure of the network, or an answer that is none. */
const unreachable = (url: URL, cause: Error) =>
  new CodedError(
    'CONTROLLER',
    `joining ${url.origin}: ${cause.message}. Check that this host reaches that address and port (firewall), and that dsr-controller runs there; the invitation is as good as before`,
    1,
    { cause },
  );

async function redeem(url: URL, ca: string, token: string, machine: string): Promise<z.infer<typeof joined>> {
  const dispatcher = new Agent({ connect: { ca, timeout: patienceMs } });
  try {
    const { statusCode, body } = await request(new URL('/v1/join', url), {
      dispatcher,
      method: 'POST',
      headers: { authorization: `Bearer ${token}`, 'content-type': 'application/json' },
      body: JSON.stringify({ machineId: machine }),
      headersTimeout: patienceMs,
      bodyTimeout: patienceMs,
    });
    const text = await body.text();
    const value: unknown = JSON.parse(text);
    if (statusCode === 200) return joined.parse(value);
    const { data } = problem.safeParse(value);
    const again = 'Make another invitation on the director: dsrctl agent invite NAME';
    throw new CodedError(
      'REFUSED',
      `${url.origin} refused this host: ${data?.detail ?? `it answered ${statusCode}`}${statusCode === 401 ? `. ${again}` : ''}`,
      statusCode === 401 || statusCode === 403 ? 3 : 1,
    );
  } catch (error) {
    if (error instanceof CodedError) throw error;
    throw unreachable(url, error as Error);
  } finally {
    await dispatcher.destroy();
  }
}
