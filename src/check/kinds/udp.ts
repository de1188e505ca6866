import type { Bytes, Check } from '../../check-schema.ts';
import type { Outcome } from '../../core/health.ts';
import type { Datagram, Kind, Probe } from '../open.ts';
import { outcomeOf } from './faults.ts';
import { fits, soughtBy } from './match.ts';
import { latin1, ok, quote, wrong } from './outcomes.ts';

export type UdpCheck = Extract<Check, { type: 'udp' }>;

/** Lets `use` make an outcome of a connected UDP socket, and closes it in any case. */
export async function withDatagram(probe: Probe, use: (datagram: Datagram) => Promise<Outcome>): Promise<Outcome> {
  const datagram = probe.open.datagram(probe.port);
  try {
    return await use(datagram);
  } catch (error) {
    return outcomeOf(error, probe, 'answer');
  } finally {
    datagram.close();
  }
}

/** Sends the payload and waits for one datagram, which must be the reply that is wanted, if any is. */
export const udp: Kind<UdpCheck> = (probe) =>
  withDatagram(probe, async (datagram) => {
    datagram.send(bytesOf(probe.check.payload));
    return judge(probe.check.reply, await datagram.receive(probe.signal));
  });

/** { text } and { hex }: exactly these bytes. { contains } and { matches }: looked for in the bytes as latin1. */
function judge(wanted: UdpCheck['reply'], reply: Uint8Array): Outcome {
  const text = latin1(reply);
  if (!wanted) return ok('answered');
  if ('text' in wanted || 'hex' in wanted) {
    if (Buffer.compare(bytesOf(wanted), reply) === 0) return ok('answered as wanted');
    return wrong(`answered ${shown(wanted, reply)}, wanted ${shown(wanted, bytesOf(wanted))}`);
  }
  if (fits(wanted, text)) return ok('answered as wanted');
  return wrong(`answered ${quote(text)}, wanted ${soughtBy(wanted)} in it`);
}

const bytesOf = (bytes: Bytes): Buffer => ('text' in bytes ? Buffer.from(bytes.text) : Buffer.from(bytes.hex, 'hex'));

/** In the notation in which it is wanted. */
function shown(like: Bytes, bytes: Uint8Array): string {
  if ('text' in like) return quote(Buffer.from(bytes).toString());
  return quote(Buffer.from(bytes.subarray(0, 31)).toString('hex'));
}
