import { isDeepStrictEqual } from 'node:util';
import { request } from 'undici';
import { canonical, familyOf, inNetwork } from '../src/core/address.ts';
import type { Finding } from '../src/core/doctor/finding.ts';
import { managerFinding } from '../src/core/doctor/managers.ts';
import { arpFinding, controllerFinding, reversePathFinding } from '../src/core/doctor/real-server.ts';
import { conntrackFinding, synFloodFinding } from '../src/core/doctor/tables.ts';
import { interfaceOf, reversePathKeys, suppressionKeys, vipReports } from '../src/core/real-server.ts';
import type { Kernel } from '../src/kernel/kernel.ts';
import type { Report, VipReport } from '../src/schema.ts';
import { controllerAddresses } from './identity.ts';
import type { Memory } from './memory.ts';

/** What may be wrong with this host as a real server, of what the agent found of its VIPs and what it looks at now. */
export function examineHost(
  kernel: Pick<Kernel, 'sysctl' | 'vitals'>,
  vips: Readonly<Record<string, VipReport>>,
): Finding[] {
  const sysctls = new Map(['net.ipv4.tcp_syncookies'].map((key) => [key, kernel.sysctl(key)]));
  return [
    arpFinding(vips),
    reversePathFinding(vips),
    managerFinding(kernel.vitals.managers('lo'), 'lo'),
    synFloodFinding('real-server', sysctls),
    conntrackFinding(kernel.vitals.conntrack()),
  ];
}

const lookMs = 10_000;

/**
 * The doctor of a running agent: looks every {@link lookMs}, and when something about the VIPs has changed; it has
 * something to tell each time that it looked. Never throws.
 */
export function createDoctor(kernel: Kernel, failed: (error: Error) => void, steady = () => performance.now()) {
  let lookAt = 0;
  let lastVips: unknown;
  return {
    told: (vips: Readonly<Record<string, VipReport>>): Pick<Report, 'doctor'> => {
      if (steady() < lookAt && isDeepStrictEqual(vips, lastVips)) return {};
      lookAt = steady() + lookMs;
      lastVips = vips;
      try {
        const findings = examineHost(kernel, vips).map(({ steps: _, ...finding }) => finding);
        return { doctor: { gateways: kernel.gateways().slice(0, 100), findings } };
      } catch (error) {
        failed(error as Error);
        return {};
      }
    },
  };
}

interface AloneSettings {
  controller: string;
  interface?: string | undefined;
  allowedVips?: string[] | undefined;
}

/** For a person on this host, whether or not an agent runs here or ever did. */
export async function examineAlone(kernel: Kernel, settings: AloneSettings, { desired }: Memory): Promise<Finding[]> {
  const host = {
    addresses: kernel.addresses(),
    links: kernel.links(),
    routes: kernel.routes(),
    interface: settings.interface,
    allowedVips: settings.allowedVips,
    reserved: new Map<string, string>(),
  };
  const cards = new Set(desired.vips.map(({ address }) => interfaceOf(address, host)));
  const keys = new Set([...cards].flatMap((card) => [...suppressionKeys(card), ...reversePathKeys(card)]));
  const sysctls = new Map([...keys].map((key) => [key, kernel.sysctl(key)]));
  const vips = vipReports(desired, host, sysctls, new Map(), kernel.listeners);
  const addresses = await controllerAddresses(settings.controller);
  return [
    controllerFinding(settings.controller, await askController(settings.controller, addresses, host.routes)),
    ...examineHost(kernel, vips),
  ];
}

async function askController(url: string, addresses: readonly string[], routes: ReturnType<Kernel['routes']>) {
  const [first] = addresses;
  if (first === undefined) return { error: 'its name cannot be resolved' };
  const address = canonical(first);
  try {
    const { body } = await request(new URL('/healthz', url), {
      headersTimeout: answerMs,
      bodyTimeout: answerMs,
      signal: AbortSignal.timeout(answerMs),
    });
    await body.dump();
  } catch (error) {
    return { error: (error as Error).message };
  }
  const onLink = routes.some(
    ({ destination, prefix, gateway }) =>
      !gateway &&
      prefix > 0 &&
      familyOf(destination) === familyOf(address) &&
      inNetwork(address, `${destination}/${prefix}`),
  );
  return { address, onLink };
}

const answerMs = 3000;
