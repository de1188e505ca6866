import { readdirSync, readFileSync } from 'node:fs';
import type { Manager } from '../../core/doctor/managers.ts';

/** Network managers that look after an interface, by what they keep below /run; `root` is put before every path. */
export function readManagers(name: string, index: number, root = ''): Manager[] {
  return [networkd(name, index, root), networkManager(name, index, root), ifupdown(name, root)].filter(
    (manager) => manager !== undefined,
  );
}

/** Its state of a link (sd-network(3), /run/systemd/netif/links); KeepConfiguration= is in systemd.network(5). */
function networkd(name: string, index: number, root: string): Manager | undefined {
  const state = read(`${root}/run/systemd/netif/links/${index}`);
  if (!state || !/^ADMIN_STATE=(configured|configuring)$/m.test(state)) return undefined;
  const file = /^NETWORK_FILE=(.+)$/m.exec(state)?.[1] ?? '';
  const base = file.split('/').at(-1) ?? '';
  const texts = [read(root + file)];
  for (const folder of ['/etc/systemd/network', '/run/systemd/network', '/usr/lib/systemd/network'])
    for (const dropIn of list(`${root}${folder}/${base}.d`))
      if (dropIn.endsWith('.conf')) texts.push(read(`${root}${folder}/${base}.d/${dropIn}`));
  const keeps = texts.some((text) => /^KeepConfiguration=\s*(yes|true|on|1|static)\s*$/m.test(text ?? ''));
  return { name: 'systemd-networkd', interface: name, keeps };
}

/** What NetworkManager keeps of a device over its own restarts. */
function networkManager(name: string, index: number, root: string): Manager | undefined {
  const state = read(`${root}/run/NetworkManager/devices/${index}`);
  if (!state || !/^managed=true$/m.test(state) || !/^connection-uuid=\S/m.test(state)) return undefined;
  return { name: 'NetworkManager', interface: name, keeps: false };
}

/** Interfaces that ifup(8) brought up; `systemctl restart networking` leaves lo alone (networking.service). */
function ifupdown(name: string, root: string): Manager | undefined {
  const state = read(`${root}/run/network/ifstate`);
  if (!state?.split('\n').some((line) => line.startsWith(`${name}=`))) return undefined;
  return { name: 'ifupdown', interface: name, keeps: name === 'lo' };
}

/** Undefined where there is none, or none that may be read. */
function read(path: string): string | undefined {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    return undefined;
  }
}

function list(path: string): string[] {
  try {
    return readdirSync(path);
  } catch {
    return [];
  }
}
