import { withPort } from './address.ts';
import { type ServiceId, serviceKey } from './kernel-state.ts';

/** How long the director waits for a connection to a port that stays on its own host. */
export const localTimeoutMs = 500;

/** What is known of the ports that stay on the director's own host (policy "director"). */
export interface LocalPorts {
  /** Whether something listens, by service key. */
  listening: ReadonlyMap<string, boolean>;
  /** How the last connection to a TCP port ended, by service key: undefined when it was accepted, else the error's name. */
  connections: ReadonlyMap<string, string | undefined>;
}

/** What is wrong with a port that stays on the director, in words; undefined when it is well, or not known yet. */
export function localPortProblem(id: ServiceId, { listening, connections }: LocalPorts): string | undefined {
  const { vip, port, protocol } = id;
  const key = serviceKey(id);
  if (listening.get(key) === false)
    return `port ${port}/${protocol} stays on this host, and nothing listens on ${vip} or the wildcard there: start the program that answers it`;
  const code = connections.get(key);
  if (code === undefined) return undefined;
  return `something listens on ${port}/${protocol} of this host, but does not accept a connection to ${withPort(vip, port)} within ${localTimeoutMs} ms: ${causeOf(code)}`;
}

/** That it is well again, in words. */
export function localPortWell(id: ServiceId, { connections }: LocalPorts): string {
  const { vip, port, protocol } = id;
  const accepts = connections.has(serviceKey(id)) ? `, and a connection to ${withPort(vip, port)} is accepted` : '';
  return `port ${port}/${protocol} of ${vip} stays on this host: something listens again${accepts}`;
}

function causeOf(code: string): string {
  if (code === 'ECONNREFUSED') return 'it is refused; look at the firewall rules of this host, and restart the program';
  if (code === 'ETIMEDOUT')
    return 'there is no answer; the program hangs or has more connections waiting than it takes, or a firewall rule of this host drops them';
  return code;
}
