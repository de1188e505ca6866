import { type Claimant, claimWords, keyOf, nextClaimants } from '../core/witness.ts';
import type { Kernel } from '../kernel/kernel.ts';
import { type Loop, startLoop } from '../loop.ts';
import type { Events } from '../store/events.ts';
import type { Director } from './reconcile.ts';

/** Keeps asking the LAN who has the director's VIPs: nobody else may answer. */
export interface Witness {
  claimants(): readonly Claimant[];
  /** Why the LAN cannot be asked, in words; undefined when it can. */
  problem(): string | undefined;
  stop(): Promise<void>;
}

export interface WitnessOptions {
  kernel: Pick<Kernel, 'whoClaims'>;
  interface: string;
  /** VIPs that this host has now. */
  vips: () => readonly string[];
  /** Real server by Ethernet address. */
  names: () => ReadonlyMap<string, string>;
  events: Events;
  log: { warn(keys: object, message: string): void };
}

const roundMs = 1500;
/** So many questions a round at most: with more VIPs it takes several rounds to ask for all. */
const mostAtOnce = 100;

export function startWitness(options: WitnessOptions): Witness {
  const { events } = options;
  let claimants: readonly Claimant[] = [];
  let from = 0;
  let problem: string | undefined;

  const round = async (): Promise<number> => {
    const vips = options.vips();
    if (from >= vips.length) from = 0;
    const asked = vips.slice(from, from + mostAtOnce);
    from += mostAtOnce;
    const heard = asked.length > 0 ? await options.kernel.whoClaims(asked, options.interface) : [];
    const held = claimants.filter(({ address }) => vips.includes(address));
    const next = nextClaimants(held, asked, heard, options.names());
    const before = new Set(claimants.map(keyOf));
    const after = new Set(next.map(keyOf));
    for (const claimant of next)
      if (!before.has(keyOf(claimant)))
        events.add(
          claimant.realServer === undefined ? 'vip-claimed' : 'arp-wrong-answer',
          claimWords(claimant),
          about(claimant),
        );
    for (const claimant of claimants)
      if (!after.has(keyOf(claimant)))
        events.add(
          'arp-quiet',
          `${claimant.realServer ?? claimant.mac} does not answer for ${claimant.address} any more`,
          about(claimant),
        );
    claimants = next;
    problem = undefined;
    return roundMs;
  };
  const loop: Loop = startLoop(round, (error, again) => {
    problem = error.message;
    if (!again) options.log.warn({ err: error }, 'the LAN cannot be asked who answers for the VIPs');
  });
  loop.wake();
  return { claimants: () => claimants, problem: () => problem, stop: loop.stop };
}

const about = ({ address, realServer }: Claimant) => ({
  vip: address,
  ...(realServer !== undefined && { realServer }),
});

/** The pools' VIPs that the director had at its last look. */
export function vipsHeld(director: Pick<Director, 'last'>): string[] {
  const pass = director.last();
  if (!pass) return [];
  const held = new Set(pass.look.addresses.map(({ address }) => address));
  return [...new Set(Object.values(pass.state.pools).map(({ pool }) => pool.vip))].filter((vip) => held.has(vip));
}
