import type { RealServer } from '../schema.ts';
import type { Attestation } from './agents.ts';
import type { Drain } from './state.ts';

/** The weight of one destination and why, in words. */
export interface Standing {
  weight: number;
  /** Takes new connections. */
  serving: boolean;
  /** Needs nobody's attention: it serves, or it does not because somebody asked for that. */
  well: boolean;
  reason: string;
}

/** The one place where a weight comes from. It is never stored. */
export function standingOf(server: RealServer, attestation: Attestation, drain: Drain | undefined): Standing {
  if (server.state !== 'active') {
    const word = server.state === 'drain' ? 'drain' : 'maintenance';
    const how =
      drain && !drain.done
        ? `${word}: takes no new connections, the established ones go on`
        : `${word}: out of service`;
    return { weight: 0, serving: false, well: true, reason: `${how}; set state to "active" to bring it back` };
  }
  if (attestation.verdict !== 'fit') return { weight: 0, serving: false, well: false, reason: attestation.reason };
  if (server.weight === 0)
    return {
      weight: 0,
      serving: false,
      well: true,
      reason: 'its weight is 0 in the pool; give it one to bring it back',
    };
  return {
    weight: server.weight,
    serving: true,
    well: true,
    reason: `in service: ${attestation.reason}`,
  };
}
