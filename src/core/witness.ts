/** Another host that answers for an address on the LAN. */
export interface Claim {
  address: string;
  /** Ethernet address such as 02:00:00:00:00:01. */
  mac: string;
}

/** A host that answers for a VIP of the director. */
export interface Claimant extends Claim {
  /** Its name by the agents' reports; undefined: no agent speaks for it. */
  realServer: string | undefined;
  /** Rounds in a row in which it did not answer again. */
  missed: number;
}

/** One round may go by without its answer. */
const roundsToForget = 2;

/**
 * The claimants after a round.
 *
 * @param asked what was asked for in this round
 * @param heard who answered
 * @param names real server by Ethernet address
 */
export function nextClaimants(
  known: readonly Claimant[],
  asked: readonly string[],
  heard: readonly Claim[],
  names: ReadonlyMap<string, string>,
): Claimant[] {
  const now = new Map(heard.map((claim) => [keyOf(claim), claim]));
  const wasAsked = new Set(asked);
  const kept = known.flatMap((claimant): Claimant[] => {
    const realServer = names.get(claimant.mac) ?? claimant.realServer;
    if (now.delete(keyOf(claimant))) return [{ ...claimant, realServer, missed: 0 }];
    if (!wasAsked.has(claimant.address)) return [{ ...claimant, realServer }];
    return claimant.missed + 1 < roundsToForget ? [{ ...claimant, realServer, missed: claimant.missed + 1 }] : [];
  });
  return [...kept, ...[...now.values()].map((claim) => ({ ...claim, realServer: names.get(claim.mac), missed: 0 }))];
}

export const keyOf = ({ address, mac }: Claim): string => `${address} ${mac}`;

/** What is wrong and what to do, in words. */
export function claimWords({ address, mac, realServer }: Claimant): string {
  const ask = address.includes(':') ? 'neighbor solicitations' : 'ARP';
  if (realServer === undefined)
    return `another machine claims ${address}: ${mac} answers ${ask} for it, and no agent speaks for that machine. Whoever hears it first sends it the site's traffic; find it (an old proxy, a second director, a copy of a machine) and take the address off it`;
  const mend = address.includes(':')
    ? `there must be no other interface than lo with it: ip -6 addr show to ${address}`
    : `its agent keeps arp_ignore and arp_announce in place and the VIP on lo only; if it goes on, the agent is not running there, or another interface has the VIP: ip addr show to ${address}`;
  return `${realServer} (${mac}) answers ${ask} for ${address}, so clients may send to it past the director; ${mend}`;
}
