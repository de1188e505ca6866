import { type Family, familyOf, withPort } from '../core/address.ts';
import type { Outcome } from '../core/health.ts';
import type { Target } from '../core/targets.ts';
import { probeOnce } from './kinds/index.ts';
import type { Probe } from './open.ts';
import { openThrough } from './sockets.ts';

/** What an attempt needs to know of the network. */
export interface Surroundings {
  /** Mark that leads to a real server, or in words why none does. */
  markOf(address: string): number | string;
  /** Why no check says anything of a real server at present, in words. */
  trouble(): string | undefined;
  /** Changes whenever {@link trouble} did. */
  epoch(): number;
  /** Whether a real server answers ARP or ND; undefined when that cannot be told. */
  answers(address: string): Promise<boolean | undefined>;
  /** The prober's own addresses. */
  sources: Record<Family, string>;
  programs: Probe['programs'];
}

/** One probe of a target, with what can be told of the network where it failed. */
export async function attempt(target: Target, signal: AbortSignal, around: Surroundings): Promise<Outcome> {
  const { vip, address, port, protocol, check } = target;
  const mark = around.markOf(address);
  if (typeof mark === 'string') return { kind: 'broken', words: mark };
  const epoch = around.epoch();
  const open = openThrough(vip, mark);
  const outcome = await probeOnce({
    vip,
    port: check.port ?? port,
    protocol,
    check,
    open,
    signal,
    programs: around.programs,
  });
  if (outcome.kind === 'ok' || outcome.kind === 'broken') return outcome;
  const explained =
    open.connected || !(outcome.kind === 'timeout' || outcome.kind === 'unreachable')
      ? outcome
      : explain(target, outcome, await around.answers(address), around.sources);
  const trouble = around.trouble();
  if (trouble === undefined && around.epoch() === epoch) return explained;
  return { kind: 'broken', words: trouble ?? "the director's own network was interrupted" };
}

/** Nothing ever came back: what that means depends on whether the server answers ARP (IPv6: ND). */
export function explain(
  { vip, address, port, check }: Target,
  outcome: Outcome,
  answers: boolean | undefined,
  sources: Surroundings['sources'],
): Outcome {
  const family = familyOf(address);
  const question = family === 'ipv4' ? 'ARP' : 'neighbor solicitations';
  const words = (kind: Outcome['kind'], text: string): Outcome => ({ ...outcome, kind, words: text });
  if (answers === false)
    return words(
      'unreachable',
      `${address} does not answer ${question}: the host is down, its cable is out, or it is on another network segment`,
    );
  if (answers === undefined) return outcome;
  if (outcome.kind === 'unreachable')
    return words(
      'unreachable',
      `${outcome.words}; ${address} answers ${question}, so a firewall there rejects, or a router`,
    );
  return words(
    'timeout',
    `${withPort(vip, check.port ?? port)} does not answer in ${check.timeoutMs} ms although ${address} answers ${question}: the VIP is missing on that server, a firewall drops, or it has no route back to the prober's address ${sources[family]}`,
  );
}
