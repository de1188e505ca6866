import type { AgentDesired, VipReport } from '../../schema.ts';
import { splitOrigin } from '../../url-schema.ts';
import { inNetwork } from '../address.ts';
import type { EdgeHost, EdgeService } from './edge-nginx.ts';

/** What the operator of a real server has said of the engine "edge" there; undefined: nothing. */
export interface EdgeConsent extends EdgeHost {
  /** Networks of directors that requests may be passed on to. */
  origins: readonly string[];
}

/** What a real server's web server is to answer by, and what of it this host refuses. */
export interface EdgeWanted {
  services: EdgeService[];
  /** In words, by {@link edgeKey}. */
  refused: Map<string, string>;
}

export const edgeKey = (vip: string, port: string): string => `${vip} ${port}`;

export function edgeWanted({ vips }: AgentDesired, consent: EdgeConsent | undefined): EdgeWanted {
  const services: EdgeService[] = [];
  const refused = new Map<string, string>();
  for (const { vip, edge = {} } of vips)
    for (const [key, port] of Object.entries(edge)) {
      const refusal = refusalOf(port.origin, port.tls, consent);
      if (refusal !== undefined) refused.set(edgeKey(vip, key), refusal);
      else services.push({ ...port, vip, port: Number.parseInt(key, 10) });
    }
  return { services, refused };
}

function refusalOf(origin: string, tls: boolean, consent: EdgeConsent | undefined): string | undefined {
  if (!consent)
    return 'this agent may not write a web server\'s configuration: set "edge" in its config, at least { "root": "/srv/images" }';
  const address = splitOrigin(origin)?.address ?? '';
  // Else whoever has the controller could reach through this host what only this host may reach.
  if (!consent.origins.some((network) => inNetwork(address, network)))
    return `${address} is not an address of this agent's controller: if requests may be passed on to it, add it to "edge.origins" in the agent's config`;
  if (tls && (consent.certificate === undefined || consent.key === undefined))
    return 'this port speaks TLS: set "edge.certificate" and "edge.key" in the agent\'s config';
  return undefined;
}

/** What was found of one port, by {@link edgeKey}. */
export type EdgeFound = ReadonlyMap<string, NonNullable<VipReport['edge']>[string]>;

const soonDays = 14;

/**
 * The report with what was found.
 *
 * @param now milliseconds since the epoch
 */
export function withEdge(
  vips: Readonly<Record<string, VipReport>>,
  found: EdgeFound,
  now: number,
): Record<string, VipReport> {
  return Object.fromEntries(
    Object.entries(vips).map(([vip, report]) => {
      const ports = [...found]
        .filter(([key]) => key.startsWith(`${vip} `))
        .map(([key, one]) => [key.split(' ')[1] ?? '', one] as const);
      if (ports.length === 0) return [vip, report];
      const warnings = [...(report.warnings ?? []), ...ports.flatMap(([port, one]) => warningsOf(port, one, now))];
      return [vip, { ...report, edge: Object.fromEntries(ports), ...(warnings.length > 0 && { warnings }) }];
    }),
  );
}

function warningsOf(
  port: string,
  { serving, problem, originProblem, certificateExpires }: NonNullable<VipReport['edge']>[string],
  now: number,
): string[] {
  const days =
    certificateExpires === undefined ? undefined : Math.floor((Date.parse(certificateExpires) - now) / 86_400_000);
  return [
    ...(serving && problem !== undefined
      ? [`its web server answers ${port} by older rules: ${problem}`.slice(0, 500)]
      : []),
    ...(serving && originProblem !== undefined ? [originProblem] : []),
    ...(days !== undefined && days < soonDays
      ? [
          days < 0
            ? `the certificate of ${port} has expired`
            : `the certificate of ${port} expires in ${days} days: put a new one in its place`,
        ]
      : []),
  ];
}
