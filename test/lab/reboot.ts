// A reboot of one host, as far as programs can tell: another boot id, and nothing left of what was set at run time.
import { randomUUID } from 'node:crypto';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { Host } from '../../infra/lab/host.ts';
import { suppression } from './kernel.ts';

/**
 * The host's programs must have been ended.
 *
 * @param boot shell commands that the host's own configuration runs as it boots
 * @returns the new boot id
 */
export async function reboot(host: Host, boot = ''): Promise<string> {
  const id = randomUUID();
  const file = join(host.dir, `boot-id-${id}`);
  await writeFile(file, `${id}\n`);
  const linkLocal = `fe80::${host.mac.replaceAll(':', '').slice(-4)}`;
  const script = `mount --bind ${file} /proc/sys/kernel/random/boot_id
ipvsadm -C
ip addr flush dev lo; ip addr add 127.0.0.1/8 dev lo; ip addr add ::1/128 dev lo
ip addr flush dev eth0
sysctl -q -w ${suppression.map((key) => `${key}=0`).join(' ')} net.ipv6.conf.eth0.ndisc_notify=0
ip addr add ${host.ip}/24 dev eth0; ip route replace default via 192.0.2.1
ip addr add ${host.ip6}/64 dev eth0 nodad; ip addr add ${linkLocal}/64 dev eth0 nodad
ip route replace default via 2001:db8:2::1
${boot}`;
  await host.exec(['sh', '-e'], { input: script });
  return id;
}
