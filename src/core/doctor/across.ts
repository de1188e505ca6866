import { familyOf } from '../address.ts';
import { type Finding, fine } from './finding.ts';

/** A real server as the director sees it. */
export interface Neighbor {
  name: string;
  address: string;
  /** The director reaches it without a gateway. */
  onLink: boolean;
  /** It answered when the LAN was asked for its address. */
  answers: boolean;
  /** It answered also when the question filled a frame to the MTU; undefined: not asked. */
  answersFull: boolean | undefined;
}

const adjacencyWhy =
  'the director changes only the Ethernet address of a packet: every real server must be on the same Ethernet segment (switch or VLAN) as the director';

export function adjacencyFinding({ name, address, onLink, answers }: Neighbor, interfaceName: string): Finding {
  const check = 'adjacency';
  const why = adjacencyWhy;
  if (!onLink)
    return {
      check,
      level: 'problem',
      what: `the director reaches ${name} (${address}) by a gateway, not directly by ${interfaceName}`,
      why,
      fix: [`# give ${name} an address on the network of the director's ${interfaceName}, and put that into the pool`],
    };
  if (!answers)
    return {
      check,
      level: 'problem',
      what: `${name} (${address}) does not answer on the Ethernet segment of ${interfaceName}`,
      why,
      fix: [
        familyOf(address) === 'ipv6'
          ? `ndisc6 ${address} ${interfaceName}   # on the director: the same question`
          : `arping -c 3 -I ${interfaceName} ${address}   # on the director: the same question`,
        `# is ${name} up, its cable in, its switch port in the same VLAN, and does it have ${address}?`,
      ],
    };
  return fine(check, `${name} (${address}) is on the Ethernet segment of ${interfaceName}`, why);
}

/** That the director cannot look for its neighbors at all. */
export function lanFinding(interfaceName: string, error: string): Finding {
  return {
    check: 'adjacency',
    level: 'problem',
    what: `the LAN cannot be asked for the real servers: ${error}`,
    why: adjacencyWhy,
    fix: [
      `ip link set ${interfaceName} up`,
      `ip -s link show ${interfaceName}   # NO-CARRIER: its cable or switch port`,
    ],
  };
}

export interface Mtus {
  director: number | undefined;
  /** As its agent reports; undefined without one. */
  realServer: number | undefined;
}

/** IPv4 or IPv6 header, and TCP header without options. */
const headerBytes = { ipv4: 40, ipv6: 60 };
/** What is assumed of a way that loses full frames: room for a VLAN in a tunnel. */
const narrowMtu = 1400;

export function mtuFinding(
  { name, address, answers, answersFull }: Neighbor,
  mtus: Mtus,
  interfaceName: string,
): Finding {
  const check = 'mtu';
  const why =
    'the director sends requests on unchanged and tells no client of a smaller MTU: a packet that is larger than the way to the real server allows is lost without a word, while small ones pass';
  const { director, realServer } = mtus;
  const segment = (mtu: number) => mtu - headerBytes[familyOf(address)];
  if (realServer !== undefined && director !== undefined && realServer < director)
    return {
      check,
      level: 'warning',
      what: `the interface of ${name} has an MTU of ${realServer}, the director's ${interfaceName} has ${director}: TCP heeds it (MSS ${segment(realServer)}), larger packets of UDP are lost`,
      why,
      fix: [
        `# give all hosts and the switch between them the same MTU: ip link set INTERFACE mtu ${director} on ${name}`,
      ],
    };
  if (answers && answersFull === false)
    return {
      check,
      level: 'problem',
      what: `${director === undefined ? 'full frames' : `frames of ${director} bytes`} do not reach ${name} (${address}), small ones do`,
      why,
      fix: [
        `# give all hosts and the switch between them the same MTU. Until then let ${name} ask clients for smaller segments, on ${name}:`,
        `nft add table ${mssTable}`,
        `nft 'add chain ${mssTable} output { type filter hook output priority mangle; }'`,
        `nft add rule ${mssTable} output tcp flags syn tcp option maxseg size set ${segment(narrowMtu)}`,
      ],
    };
  if (realServer !== undefined && director !== undefined && realServer > director)
    return {
      check,
      level: 'warning',
      what: `the interface of ${name} has an MTU of ${realServer}, the director's ${interfaceName} only ${director}`,
      why,
      fix: [`ip link set ${interfaceName} mtu ${realServer}   # on the director, where the switch allows it`],
    };
  if (answersFull) return fine(check, `frames of the director's MTU (${director}) reach ${name}`, why);
  return {
    check,
    level: 'unknown',
    what: `whether full frames reach ${name} is not known: it does not answer`,
    why,
    fix: [],
  };
}

const mssTable = 'inet dsr-mss';

/** Silence after which what an agent found is no news. */
const silentMs = 30_000;

/** @param lastReport of its agent, as `now` in milliseconds since the epoch; null: none since the director's start */
export function agentFinding(name: string, lastReport: number | null, now: number): Finding {
  const check = 'agent';
  const why = 'only its agent can look at the inside of a real server; what it found before may be so no longer';
  const silence = lastReport === null ? undefined : now - lastReport;
  if (silence !== undefined && silence <= silentMs) return fine(check, `the agent on ${name} reports`, why);
  return {
    check,
    level: 'warning',
    what: `the agent on ${name} ${silence === undefined ? 'is silent' : `has been silent for ${Math.round(silence / 1000)} s`}: what is inside that host is not known`,
    why,
    fix: [`journalctl -u dsr-agent -n 50   # on ${name}`, 'systemctl restart dsr-agent'],
  };
}

const skewWarningMs = 2000;

/** @param skewMs how far the real server's clock is ahead; undefined: no agent speaks */
export function clockFinding(name: string, skewMs: number | undefined): Finding {
  const check = 'clock';
  const why = 'certificates, logs and events go by the clock';
  if (skewMs === undefined)
    return { check, level: 'unknown', what: `the clock of ${name} is not known: no agent speaks for it`, why, fix: [] };
  const seconds = (Math.abs(skewMs) / 1000).toFixed(1);
  if (Math.abs(skewMs) <= skewWarningMs)
    return fine(check, `the clock of ${name} is within ${seconds} s of the director's`, why);
  return {
    check,
    level: 'warning',
    what: `the clock of ${name} is ${seconds} s ${skewMs > 0 ? 'ahead of' : 'behind'} the director's`,
    why,
    fix: ['apt-get install systemd-timesyncd && timedatectl set-ntp true   # on both hosts'],
  };
}

/**
 * Of a real server in a pool with balance "headroom".
 *
 * @param speedMbit null: its card does not tell, and nobody has configured it; undefined: no agent speaks
 */
export function cardSpeedFinding(name: string, speedMbit: number | null | undefined): Finding {
  const check = 'card-speed';
  const why =
    'balance "headroom" compares how full the cards are; one whose speed is not known counts like those of the middle, and its share does not follow its load (virtual cards often do not tell)';
  if (speedMbit === undefined)
    return { check, level: 'unknown', what: `no agent speaks for ${name}, nor for its card`, why, fix: [] };
  if (speedMbit !== null) return fine(check, `the card of ${name} has ${speedMbit} Mbit/s`, why);
  return {
    check,
    level: 'warning',
    what: `the card of ${name} does not tell its speed`,
    why,
    fix: [
      `# in the config of dsr-agent on ${name}: "speedMbit": 1000 (what its provider or switch gives it), then restart it`,
    ],
  };
}

/** @param gateways of the real server; undefined: no agent speaks */
export function defaultRouteFinding(
  name: string,
  gateways: readonly string[] | undefined,
  director: ReadonlySet<string>,
): Finding {
  const check = 'default-route';
  const why =
    'replies leave by the default route: by way of the director they would fill its card again, which is what this is for';
  if (gateways === undefined)
    return {
      check,
      level: 'unknown',
      what: `the default route of ${name} is not known: no agent speaks for it`,
      why,
      fix: [],
    };
  const through = gateways.find((gateway) => director.has(gateway));
  if (through !== undefined)
    return {
      check,
      level: 'problem',
      what: `the default route of ${name} leads through the director (${through})`,
      why,
      fix: [
        `ip ${familyOf(through) === 'ipv6' ? '-6 ' : ''}route replace default via ROUTER   # on ${name}; ROUTER is the router's own address`,
      ],
    };
  if (gateways.length === 0)
    return {
      check,
      level: 'warning',
      what: `${name} has no default route: only clients on its own networks get an answer`,
      why,
      fix: [`ip route add default via ROUTER   # on ${name}`],
    };
  return fine(check, `the default route of ${name} leads through ${gateways.join(', ')}`, why);
}

/** What is known of whether a real server's packets from the VIP arrive. */
export interface VipSource {
  /** The probes through the VIP: their replies come from the VIP. */
  probe: 'up' | 'down' | 'unknown' | undefined;
  /** The probes get no answer at all, rather than a wrong one. */
  silent: boolean;
  /** Its agent finds VIP, suppression and server in place. */
  attested: boolean;
  /** The same port of its own address: accepts the director's connection, refuses it, or gives no answer; undefined: not tried. */
  own: 'accepts' | 'refuses' | 'silent' | undefined;
}

export function vipSourceFinding(name: string, vip: string, rip: string, is: VipSource): Finding {
  const check = 'vip-source';
  const why =
    'a real server answers with the VIP as source; switches and providers with anti-spoofing drop such packets, as does a firewall on the way out';
  if (is.probe === 'up') return fine(check, `packets from ${vip} that ${name} sends arrive`, why);
  if (is.probe === 'down' && is.silent && is.attested && (is.own === 'accepts' || is.own === 'refuses'))
    return {
      check,
      level: is.own === 'accepts' ? 'problem' : 'warning',
      what: `${name} is ready and answers from ${rip}${is.own === 'accepts' ? '' : ' (its server is on the VIP alone)'}, but what it sends from ${vip} does not arrive`,
      why,
      fix: [
        `tcpdump -ni any host ${vip}   # on ${name}: do replies leave it? Then the network between drops them`,
        `nft list ruleset              # on ${name}: a rule on the way out`,
        `# ask the provider to allow the source ${vip} at the port of ${name} ("anti-spoofing", "allowed address pairs", "port security")`,
      ],
    };
  if (is.probe === undefined || is.probe === 'unknown')
    return { check, level: 'unknown', what: `${name} is not probed through ${vip}`, why, fix: [] };
  return {
    check,
    level: 'unknown',
    what: `${name} does not answer through ${vip} for another reason: see its status`,
    why,
    fix: [],
  };
}
