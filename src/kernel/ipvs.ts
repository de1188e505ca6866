import { execFileSync } from 'node:child_process';
import { setImmediate } from 'node:timers/promises';
import { type Services, serviceKey } from '../core/kernel-state.ts';
import { KernelError } from './errors.ts';
import { failureOf } from './failures.ts';
import { familyId } from './genl.ts';
import { CMD, FAMILY } from './ipvs-attributes.ts';
import { addressTexts, readDestination, readService, type ServiceEntry } from './ipvs-decode.ts';
import { type IpvsStep, writeCommand, writeServiceQuestion, writeStep } from './ipvs-encode.ts';
import { adviceFor, asSet, isGone, isThere } from './ipvs-outcome.ts';
import type { StepFailure } from './kernel.ts';
import type { Netlink } from './netlink.ts';

/** The kernel's IPVS table. Methods throw KernelError. */
export interface Ipvs {
  /** Yields to the event loop every few milliseconds. */
  services(): Promise<Services>;
  serviceConfigs(): ServiceEntry[];
  /** Applies at most BATCH steps, no two of them about the same thing. */
  apply(steps: readonly IpvsStep[]): StepFailure[];
}

// Entries between two turns of the event loop: about 5 ms.
const SLICE = 256;

/** Loads IPVS where it is missing, and asks it whether this process may use it. Throws KernelError EPROTONOSUPPORT or EPERM. */
export function openIpvs(netlink: Netlink, load: () => void = modprobe): Ipvs {
  if (familyId(netlink, FAMILY) === undefined) load();
  netlink.ask({ doing: 'use IPVS', type: family(), write: (to) => writeCommand(to, CMD.GET_INFO) });

  /** Asked every time: the number is another one when the module was loaded anew. */
  function family(): number {
    const id = familyId(netlink, FAMILY);
    if (id === undefined) throw new KernelError('EPROTONOSUPPORT', missing);
    return id;
  }

  function dumpServices(type: number, text = addressTexts()): ServiceEntry[] {
    const write = (to: Parameters<typeof writeCommand>[0]) => writeCommand(to, CMD.GET_SERVICE);
    return netlink.dump({ doing: 'read the IPVS services', type, write }, (message) => readService(message, text));
  }

  async function services(): Promise<Services> {
    const type = family();
    const text = addressTexts();
    const found: Services = new Map();
    let sinceYield = 0;
    for (const { id, config } of dumpServices(type, text)) {
      const doing = `read the destinations of ${serviceKey(id)}`;
      const destinations = netlink.dump(
        { doing, type, write: (to) => writeServiceQuestion(to, CMD.GET_DEST, id) },
        (message) => readDestination(message, id.vip, text),
      );
      found.set(serviceKey(id), { id, config, destinations });
      sinceYield += 1 + destinations.length;
      if (sinceYield < SLICE) continue;
      await setImmediate();
      sinceYield = 0;
    }
    return found;
  }

  function apply(steps: readonly IpvsStep[]): StepFailure[] {
    const type = family();
    const refusals = netlink.batch(type, steps, writeStep);
    const there = [...steps.keys()].filter((index) => isThere(steps[index]!, refusals[index]));
    const sets = there.map((index) => asSet(steps[index]!));
    for (const [at, refusal] of netlink.batch(type, sets, writeStep).entries()) refusals[there[at]!] = refusal;
    return steps.flatMap((step, index) => {
      const refusal = refusals[index];
      return refusal && !isGone(step, refusal) ? [failureOf(step, refusal, adviceFor(step))] : [];
    });
  }

  return { services, serviceConfigs: () => dumpServices(family()), apply };
}

const missing =
  'this kernel has no IPVS: load it with `modprobe ip_vs` (in a container: on its host); the module is in the ' +
  'package of the kernel, on Debian linux-image-amd64, on Ubuntu linux-modules-VERSION or linux-modules-extra-VERSION';

/** Only root may; whether it worked shows when the kernel is asked again. */
function modprobe(): void {
  if (process.getuid?.() !== 0) return;
  try {
    execFileSync('modprobe', ['ip_vs'], { stdio: 'ignore', timeout: 10_000 });
  } catch {}
}
