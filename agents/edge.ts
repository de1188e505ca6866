import { execFile } from 'node:child_process';
import { X509Certificate } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { rm } from 'node:fs/promises';
import { request as requestPlain } from 'node:http';
import { request as requestTls } from 'node:https';
import { connect } from 'node:net';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { isDeepStrictEqual } from 'node:util';
import { hostPrefix } from '../src/core/address.ts';
import { type EdgeFound, edgeKey, edgeWanted } from '../src/core/url/edge.ts';
import { type EdgeService, edgeMarker, edgeNginx, edgePath } from '../src/core/url/edge-nginx.ts';
import type { AgentDesired } from '../src/schema.ts';
import { writeWhole } from '../src/store/whole-file.ts';
import { splitOrigin } from '../src/url-schema.ts';
import type { EdgeSettings } from './settings.ts';

export interface EdgeOptions {
  /** Undefined: this host's operator has not allowed it. */
  settings: EdgeSettings | undefined;
  stateDir: string;
  /** Addresses of the controller, to which requests may be passed on. */
  controllerAddresses: () => readonly string[];
  log: (keys: object, message: string) => void;
}

/** Keeps the configuration of this host's nginx as the pools with the engine "edge" want it. */
export interface Edge {
  /** Brings it there, and tells how each port stands, by {@link edgeKey}. */
  reconcile(desired: AgentDesired): Promise<EdgeFound>;
  /** Takes the configuration away. */
  teardown(): Promise<void>;
}

/**
 * What is refused may become good without us: a certificate that comes, a folder that is made. While it is tried it lies
 * where nginx would read it, so that is done less and less often.
 */
const retryMs = 10_000;
const mostRetryMs = 300_000;
const lookMs = 5000;
const commandMs = 30_000;
const askMs = 2000;
/** How long a reload may take until the new configuration answers. */
const reloadMs = 3000;

export function createEdge({ settings, stateDir, controllerAddresses, log }: EdgeOptions): Edge {
  const file = settings?.file ?? join(stateDir, 'edge.conf');
  const nothing = { text: undefined, stamp: '' };
  // A name that nginx's include of edge*.conf does not find.
  const good = join(stateDir, 'edge.good');
  let failed: { text: string; words: string | undefined; at: number; pauseMs: number } | undefined;
  let looked: { text: string | undefined; at: number; found: EdgeFound } | undefined;

  const reconcile = async (desired: AgentDesired): Promise<EdgeFound> => {
    const certificate = settings?.certificate === undefined ? undefined : readCertificate(settings.certificate);
    const own = controllerAddresses().map((address) => `${address}/${hostPrefix(address)}`);
    const consent = settings && {
      ...settings,
      certificateIs: certificate?.is,
      origins: [...own, ...(settings.origins ?? [])],
    };
    const { services, refused } = edgeWanted(desired, consent);
    const { text, stamp } = consent && services.length > 0 ? edgeNginx(services, consent) : nothing;
    const find = async (problem?: string, known?: string): Promise<EdgeFound> => {
      const shown = (service: EdgeService) => known ?? stampOf(service);
      const found = new Map(await findAll(services, stamp, { shown, problem, expires: certificate?.expires }));
      for (const [key, why] of refused) found.set(key, { serving: false, problem: why });
      if (!isDeepStrictEqual(looked?.found, found)) log({ ports: Object.fromEntries(found) }, 'who answers by URL');
      looked = { text, at: performance.now(), found };
      return found;
    };
    const now = performance.now();
    const present = readText(file);
    if (text === undefined && present === undefined) return find();
    if (present !== undefined && !present.startsWith(edgeMarker))
      return find(
        `${file} was not written by dsr-agent, and stays as it is: move it away, or name another file as "edge.file" in the agent's config`,
      );
    if (text === undefined) return find(await remove());
    if (looked?.text === text && present === text && now - looked.at < lookMs) return looked.found;
    if (failed?.text === text && now - failed.at < failed.pauseMs) return find(failed.words);
    if (present === text && (await isRunning(services, stamp))) return find(undefined, stamp);
    const problem = await install(text, present);
    const isThere = problem === undefined && (await untilRunning(services, stamp));
    const pauseMs = failed?.text === text ? Math.min(mostRetryMs, failed.pauseMs * 2) : retryMs;
    failed = isThere ? undefined : { text, words: problem, at: performance.now(), pauseMs };
    // Until they end, old workers of nginx may still answer too.
    return find(problem, isThere ? stamp : undefined);
  };

  /** Puts a configuration in place if nginx takes it with all the rest of its own; else the last good one. */
  const install = async (text: string, before: string | undefined): Promise<string | undefined> => {
    await writeWhole(file, text, 0o600);
    const refusal = await run(settings?.validate ?? []);
    if (refusal === undefined) {
      await writeWhole(good, text, 0o600);
      return run(settings?.reload ?? []);
    }
    const last = readText(good) ?? (before === text ? undefined : before);
    if (last === undefined || last === text) await rm(file, { force: true });
    else await writeWhole(file, last, 0o600);
    return `nginx does not take the new configuration, and the one before stays: ${refusal}`;
  };

  const remove = async (): Promise<string | undefined> => {
    await rm(file, { force: true });
    await rm(good, { force: true });
    return run(settings?.reload ?? []);
  };

  return {
    reconcile: (desired) =>
      reconcile(desired).catch(({ message }: Error) => {
        const { services, refused } = edgeWanted(desired, undefined);
        const keys = [...services.map(({ vip, port }) => edgeKey(vip, `${port}/tcp`)), ...refused.keys()];
        return new Map(keys.map((key) => [key, { serving: false, problem: message.slice(0, 500) }]));
      }),
    teardown: async () => {
      if (readText(file)?.startsWith(edgeMarker)) await remove();
    },
  };
}

function readText(file: string): string | undefined {
  try {
    return readFileSync(file, 'utf8');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw error;
  }
}

/** Undefined when it cannot be read: nginx says why. */
function readCertificate(file: string): { is: string; expires: string } | undefined {
  try {
    const { validTo, fingerprint256 } = new X509Certificate(readFileSync(file));
    const expires = new Date(validTo).toISOString();
    return { is: `${fingerprint256}, expires ${expires}`, expires };
  } catch {
    return undefined;
  }
}

/** Runs a command of the settings, without a shell; its words when it fails. */
function run([program = '', ...words]: readonly string[]): Promise<string | undefined> {
  return new Promise((resolve) => {
    execFile(program, words, { timeout: commandMs }, (error, stdout, stderr) => {
      if (!error) return resolve(undefined);
      const said = `${stderr}${stdout}`.trim().split('\n').slice(0, 5).join(' ');
      resolve(`${program} ${words.join(' ')}: ${said || error.message}`.slice(0, 350));
    });
  });
}

interface Findings {
  /** The stamp that a port shows. */
  shown: (service: EdgeService) => Promise<string | undefined> | string;
  problem: string | undefined;
  expires: string | undefined;
}

/** How each port stands. */
async function findAll(
  services: readonly EdgeService[],
  stamp: string,
  { shown, problem, expires }: Findings,
): Promise<EdgeFound> {
  const entries = services.map(async (service) => {
    const is = await shown(service);
    const old = is === undefined ? silent(service) : is === stamp ? undefined : 'nginx still answers by older rules';
    const words = (problem ?? old)?.slice(0, 500);
    const originProblem = is === undefined ? undefined : await originTrouble(service.origin);
    return [
      edgeKey(service.vip, `${service.port}/tcp`),
      {
        serving: is !== undefined,
        ...(words !== undefined && { problem: words }),
        ...(originProblem !== undefined && { originProblem }),
        ...(service.tls && expires !== undefined && { certificateExpires: expires }),
      },
    ] as const;
  });
  return new Map(await Promise.all(entries));
}

const silent = ({ vip, port }: EdgeService) =>
  `nobody answers by it on port ${port} of ${vip}: nginx must run, and read the agent's file: put "include" with that file into the http block of nginx.conf`;

/** Undefined when somebody listens there. */
async function originTrouble(origin: string): Promise<string | undefined> {
  const { address: host, port } = splitOrigin(origin) ?? {};
  if (host === undefined || port === undefined) return undefined;
  const socket = connect({ host, port, timeout: askMs });
  const why = await new Promise<string | undefined>((resolve) => {
    socket.once('connect', () => resolve(undefined));
    socket.once('timeout', () => resolve('no answer'));
    socket.once('error', ({ message }) => resolve(message));
  });
  socket.destroy();
  return why === undefined
    ? undefined
    : `nobody answers at ${origin}, so that clients get 502 for whatever is not on this host: start the director's own web server there, and let this host reach it (${why})`.slice(
        0,
        500,
      );
}

const isRunning = async (services: readonly EdgeService[], stamp: string): Promise<boolean> =>
  (await Promise.all(services.map(stampOf))).every((is) => is === stamp);

async function untilRunning(services: readonly EdgeService[], stamp: string): Promise<boolean> {
  const end = performance.now() + reloadMs;
  while (!(await isRunning(services, stamp))) {
    if (performance.now() > end) return false;
    await sleep(50);
  }
  return true;
}

/** The stamp that a port's web server shows; undefined when it shows none. */
function stampOf({ vip, port, tls }: EdgeService): Promise<string | undefined> {
  return new Promise((resolve) => {
    const options = { host: vip, port, path: edgePath, agent: false, timeout: askMs };
    // Whether clients trust the certificate is not asked here: this is about who answers.
    const asking = tls ? requestTls({ ...options, rejectUnauthorized: false }) : requestPlain(options);
    const end = (stamp?: string) => {
      asking.destroy();
      resolve(stamp);
    };
    asking.on('response', (response) => {
      let text = '';
      response.on('data', (chunk) => {
        text = `${text}${chunk}`.slice(0, 100);
      });
      response.on('end', () => end(/^[0-9a-f]{14}\n$/.test(text) ? text.trim() : undefined));
      response.on('error', () => end());
    });
    asking.on('timeout', () => end()).on('error', () => end());
    asking.end();
  });
}
