import { familyOf, withPort } from '../../core/address.ts';
import type { Outcome } from '../../core/health.ts';
import type { Probe } from '../open.ts';
import { broken, wrong } from './outcomes.ts';

/** How far a probe had come when something went wrong. */
export type Phase = 'connect' | 'handshake' | 'answer' | 'rest';

type About = Pick<Probe, 'vip' | 'port' | 'protocol' | 'check' | 'signal'>;

/** What is probed: "192.0.2.100:80", with "/udp" where it is that. */
export function whereOf({ vip, port, protocol, check }: Omit<About, 'signal'>): string {
  const udp = check.type === 'dns' ? (check.transport ?? protocol) === 'udp' : check.type === 'udp' || (check.type === 'exec' && protocol === 'udp'); // biome-ignore format: short
  return withPort(vip, port) + (udp ? '/udp' : '');
}

/** The outcome of a probe that threw `error`: what a connection or the signal rejected with. */
export function outcomeOf(error: unknown, probe: About, phase: Phase): Outcome {
  const where = whereOf(probe);
  const { code, message } = readError(error);
  if (code === 'ETIMEDOUT' || (probe.signal.aborted && isAbort(error, probe.signal)))
    return { kind: 'timeout', words: late(where, phase, probe.check.timeoutMs) };
  if (code === 'ECONNREFUSED')
    return { kind: 'refused', words: `${where} is refused: nothing listens there on this server` };
  const family = familyOf(probe.vip);
  const reason = unreachable[code] ?? (family === 'ipv6' && code === 'EACCES' ? prohibited : undefined);
  if (reason) return { kind: 'unreachable', words: `${where} is unreachable: ${reason[family]}` };
  if (ended.has(code)) return wrong(`${where} ${cut[phase]}`);
  if (code.startsWith('ERR_SSL_') || code === 'EPROTO') return wrong(`${where}: TLS failed: ${sslReason(error)}`);
  return broken(`the check itself could not be made: ${message}`);
}

/** A thrown value may be anything; `code` is a text in errors of Node and of the kernel only. */
export function readError(error: unknown): { code: string; message: string } {
  if (!(error instanceof Error)) return { code: '', message: String(error) };
  const code = 'code' in error && typeof error.code === 'string' ? error.code : '';
  return { code, message: error.message };
}

/** The reason in words of OpenSSL, such as "tlsv1 alert protocol version". */
export function sslReason(error: unknown): string {
  return error instanceof Error && 'reason' in error ? String(error.reason) : readError(error).message;
}

const isAbort = (error: unknown, signal: AbortSignal): boolean =>
  error === signal.reason || (error instanceof Error && (error.name === 'AbortError' || error.name === 'TimeoutError'));

function late(where: string, phase: Phase, timeoutMs: number): string {
  const within = `within ${timeoutMs} ms`;
  switch (phase) {
    case 'connect':
      return `${where} takes no connection ${within}: no answer while connecting`;
    case 'handshake':
      return `${where} takes a connection, but the TLS handshake does not end ${within}`;
    case 'answer':
      return where.endsWith('/udp')
        ? `${where}: no answer ${within}`
        : `${where} takes a connection, but no answer comes ${within}`;
    case 'rest':
      return `${where} begins to answer, but does not come to an end ${within}`;
  }
}

const noNeighbor = {
  ipv4: 'nobody answers ARP for this server, or a router or firewall rejects it',
  ipv6: 'nobody answers neighbour discovery for this server, or a router or firewall rejects it',
};
const noRoute = { ipv4: 'no route to it', ipv6: 'no route to it' };
const prohibited = { ipv4: 'a router or firewall prohibits it', ipv6: 'a router or firewall prohibits it' };

/** What the kernel makes of a neighbour that is silent and of ICMP (icmp_err_convert, net/ipv4/icmp.c; tab_unreach, net/ipv6/icmp.c). */
const unreachable: Readonly<Record<string, Record<'ipv4' | 'ipv6', string>>> = {
  EHOSTUNREACH: noNeighbor,
  EHOSTDOWN: noNeighbor,
  ENETUNREACH: noRoute,
  ENONET: noRoute,
  ENOPROTOOPT: prohibited,
};

const ended = new Set(['ECONNRESET', 'EPIPE', 'ECONNABORTED', 'ERR_STREAM_PREMATURE_CLOSE']);

const cut: Readonly<Record<Phase, string>> = {
  connect: 'resets the connection at once',
  handshake: 'takes a connection, but closes it during the TLS handshake: is it a port for TLS?',
  answer: 'takes a connection, but closes it without an answer',
  rest: 'closes the connection in the middle of its answer',
};
