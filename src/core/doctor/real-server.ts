import type { VipReport } from '../../schema.ts';
import { type Finding, fine, sysctlFix } from './finding.ts';

/** ARP suppression and VIPs, as the agent found them. */
export function arpFinding(vips: Readonly<Record<string, VipReport>>): Finding {
  const check = 'arp';
  const why =
    'a real server that answers ARP for the VIP takes the clients’ packets away from the director: some visitors reach this host alone, and all of them when the router’s memory says so';
  const loud = Object.entries(vips).filter(([, { suppressed }]) => !suppressed);
  const away = Object.entries(vips).filter(([, { present }]) => !present);
  const [first] = [...loud, ...away];
  if (!first) {
    const all = Object.keys(vips);
    const what = all.length > 0 ? `on lo, with ARP suppressed: ${all.join(', ')}` : 'no VIP is asked of this host yet';
    return fine(check, what, why);
  }
  const [vip, { problem, suppressed }] = first;
  return {
    check,
    level: 'problem',
    what: `${suppressed ? `${vip} is not on lo` : `this host would answer ARP for ${vip}`}${problem ? `: ${problem}` : ''}`,
    why,
    fix: suppressed
      ? [
          `# a running dsr-agent puts it there. By hand, with ARP suppressed first: ip addr add ${vip}/${vip.includes(':') ? 128 : 32} dev lo${vip.includes(':') ? ' nodad' : ''}`,
        ]
      : [
          'sysctl -w net.ipv4.conf.all.arp_ignore=1 net.ipv4.conf.all.arp_announce=2',
          '# a running dsr-agent keeps them so; /proc/sys must be writable for it',
        ],
  };
}

/** Whether the reverse path filter lets in what comes to the VIPs. */
export function reversePathFinding(vips: Readonly<Record<string, VipReport>>): Finding {
  const check = 'rp-filter';
  const why =
    'the strict reverse path filter drops what comes in by an interface that the way back does not use: requests arrive, and nobody answers';
  const found = Object.entries(vips).find(([, { unreachable }]) => unreachable !== undefined);
  if (!found) return fine(check, 'the reverse path filter lets clients and probes in', why);
  const words = found[1].unreachable ?? '';
  const wanted = Object.fromEntries(
    [...words.matchAll(/sysctl -w (\S+)=(\d+)/g)].map(([, key, value]) => [key, value]),
  );
  return {
    check,
    level: 'problem',
    what: words,
    why,
    ...(Object.keys(wanted).length > 0 ? sysctlFix(check, wanted) : { fix: [] }),
  };
}

/** Whether the agent's host can be a real server of this controller at all; asked before joining. */
export function controllerFinding(
  url: string,
  answer: { error: string } | { onLink: boolean; address: string },
): Finding {
  const check = 'controller';
  const why =
    'the agent fetches from the controller what its host must look like, and the director must be on the same Ethernet segment';
  if ('error' in answer)
    return {
      check,
      level: 'problem',
      what: `the controller ${url} does not answer: ${answer.error}`,
      why,
      fix: [`curl -sS ${url}/healthz   # on this host: is the address right, dsr-controller running, the port open?`],
    };
  if (!answer.onLink)
    return {
      check,
      level: 'warning',
      what: `the controller answers at ${answer.address}, which this host reaches by a gateway or on another interface than its own network`,
      why,
      fix: [
        `# if ${answer.address} is only the director's address for management, all is well; else this host is on another segment`,
      ],
    };
  return fine(check, `the controller answers at ${answer.address}, on this host's own network`, why);
}
