import { type Finding, fine } from './finding.ts';

/** A network manager that looks after the interface that a VIP is on. */
export interface Manager {
  name: 'systemd-networkd' | 'NetworkManager' | 'ifupdown';
  interface: string;
  /** It keeps addresses that it did not add. */
  keeps: boolean;
}

const check = 'network-manager';

/** @param addressedBy the interface with the VIPs: lo on a real server */
export function managerFinding(managers: readonly Manager[], addressedBy: string): Finding {
  const why =
    'a network manager takes addresses that it does not know off its interfaces when it restarts or is reconfigured; ours are put back within a second, but for that second visitors get no answer';
  const taking = managers.filter(({ keeps }) => !keeps);
  const [first] = taking;
  if (!first)
    return fine(
      check,
      managers.length > 0
        ? `${managers.map(({ name }) => name).join(', ')} keeps foreign addresses of ${addressedBy}`
        : `no network manager looks after ${addressedBy}`,
      why,
    );
  return {
    check,
    level: 'warning',
    what: `${first.name} looks after ${first.interface} and removes addresses that it did not add`,
    why,
    fix: remedies[first.name](first.interface),
  };
}

const remedies: Record<Manager['name'], (name: string) => string[]> = {
  'systemd-networkd': (name) => [
    `networkctl status ${name}   # names the .network file that matches it, here called FILE.network`,
    'mkdir -p /etc/systemd/network/FILE.network.d',
    "printf '[Network]\\nKeepConfiguration=static\\n' > /etc/systemd/network/FILE.network.d/dsr.conf",
    'networkctl reload',
  ],
  NetworkManager: (name) =>
    name === 'lo'
      ? [
          "printf '[keyfile]\\nunmanaged-devices=interface-name:lo\\n' > /etc/NetworkManager/conf.d/90-dsr.conf",
          'nmcli general reload',
        ]
      : [
          `# let the controller leave the VIP to NetworkManager ("manageVip": false), or give ${name} to another manager:`,
          `printf '[keyfile]\\nunmanaged-devices=interface-name:${name}\\n' > /etc/NetworkManager/conf.d/90-dsr.conf`,
        ],
  ifupdown: (name) => [
    `# do not run ifdown ${name} while it carries traffic; ifdown removes all its addresses. To drain first:`,
    'dsrctl drain NAME --wait',
  ],
};
