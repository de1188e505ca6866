import { isDeepStrictEqual } from 'node:util';
import t from 'tap';
import type { Step } from '../../src/core/steps.ts';
import type { Kernel } from '../../src/kernel/kernel.ts';
import { openKernel } from '../../src/kernel/open.ts';
import { freshNetwork, ipJson, lab, sh, until, wiredHost } from './lab.ts';

interface IpAddress {
  ifname: string;
  addr_info: {
    local: string;
    prefixlen: number;
    tentative?: boolean;
    nodad?: boolean;
    valid_life_time: number;
    preferred_life_time: number;
  }[];
}
interface IpLink {
  ifindex: number;
  ifname: string;
  flags: string[];
  address: string;
  mtu: number;
}

lab(t, 'a network with nothing in it is read as empty', async (t) => {
  const kernel = openKernel({ ipvs: false });
  t.strictSame(kernel.gateways(), []);
  t.match(kernel.links(), [{ name: 'lo', loopback: true, arp: false, mac: '' }]);
  t.strictSame(
    kernel.addresses().map(({ address, prefix, interface: name }) => [address, prefix, name]),
    [
      ['127.0.0.1', 8, 'lo'],
      ['::1', 128, 'lo'],
    ],
  );
  kernel.close();
});

lab(t, 'interfaces and addresses of many kinds are what ip says they are', async (t) => {
  const kernel = openKernel({ ipvs: false });
  const host = wiredHost('eth0', 'peer0');
  sh(`ip link add dummy0 type dummy; ip link add br0 type bridge; ip link add link eth0 name eth0.100 type vlan id 100
      ip link add tun0 type ipip local 192.0.2.1 remote 192.0.2.2; ip link set br0 up mtu 1400
      ip addr add 192.0.2.1/24 dev eth0; ip addr add 192.0.2.2/24 dev eth0; ip addr add 192.0.2.1/32 dev lo
      ip addr add 198.51.100.1 peer 198.51.100.2/32 dev dummy0; ip addr add 2001:db8::1/64 dev eth0 nodad
      ip -6 addr add 2001:db8:1::1 peer 2001:db8:1::2 dev dummy0; ip addr add 10.0.0.1/8 dev br0 label br0:x`);
  /** What ip says before and after ours: carriers come up and addresses stop being tentative in between. */
  const beside = <Ip, Ours>(what: 'link' | 'addr', read: () => Ours): [Ip, Ours] => {
    for (;;) {
      const [before, ours, after] = [ipJson(what), read(), ipJson(what)];
      if (isDeepStrictEqual(before, after)) return [before as Ip, ours];
    }
  };
  const [links, ourLinks] = beside<IpLink[], ReturnType<Kernel['links']>>('link', () => kernel.links());
  t.strictSame(
    ourLinks.map(({ index, name, up, carrier, loopback, mtu, mac }) => [index, name, up, carrier, loopback, mtu, mac]),
    links.map((link) => [
      link.ifindex,
      link.ifname,
      link.flags.includes('UP'),
      link.flags.includes('LOWER_UP'),
      link.flags.includes('LOOPBACK'),
      link.mtu,
      ['lo', 'tun0', 'tunl0'].includes(link.ifname) ? '' : link.address,
    ]),
  );
  t.strictSame(
    Object.fromEntries(ourLinks.map(({ name, arp }) => [name, arp])),
    Object.fromEntries(links.map(({ ifname, flags }) => [ifname, !flags.includes('NOARP') && ifname !== 'lo'])),
  );
  const [addresses, ourAddresses] = beside<IpAddress[], ReturnType<Kernel['addresses']>>('addr', () =>
    kernel.addresses(),
  );
  const key = (name: string, address: string, prefix: number, tentative: boolean) =>
    `${name} ${address}/${prefix} ${tentative}`;
  t.strictSame(
    ourAddresses.map((a) => key(a.interface, a.address, a.prefix, a.tentative)).sort(),
    addresses
      .flatMap(({ ifname, addr_info }) => addr_info.map((a) => key(ifname, a.local, a.prefixlen, a.tentative ?? false)))
      .sort(),
  );
  kernel.close();
  host.close();
});

lab(t, 'gateways are those of the default routes, of both families and of every path', async (t) => {
  const kernel = openKernel({ ipvs: false });
  sh(`ip link add eth0 type dummy; ip link set eth0 up; ip addr add 192.0.2.1/24 dev eth0; ip addr add 2001:db8::1/64 dev eth0 nodad
      ip route add default via 192.0.2.254; ip route add default via 192.0.2.253 metric 100
      ip route add 10.0.0.0/8 via 192.0.2.9; ip route add default via 192.0.2.8 table 100; ip route add unreachable default metric 4000
      ip -6 route add default via fe80::1 dev eth0; ip -6 route add 2001:db8:5::/48 via 2001:db8::9`);
  t.strictSame(kernel.gateways(), ['192.0.2.254', '192.0.2.253', 'fe80::1']);
  sh(`while ip route del default 2>/dev/null; do :; done; ip route add default nexthop via 192.0.2.5 nexthop via 192.0.2.6; ip -6 route flush default
      ip -6 route add default nexthop via fe80::5 dev eth0 nexthop via fe80::6 dev eth0`);
  t.strictSame(kernel.gateways().sort(), ['192.0.2.5', '192.0.2.6', 'fe80::5', 'fe80::6']);
  sh('ip -6 route flush default; ip route del default; ip route add default via inet6 fe80::7 dev eth0');
  t.strictSame(kernel.gateways(), ['fe80::7']);
  kernel.close();
});

const add = (address: string, prefix: number, name: string, role: 'director' | 'real-server'): Step => ({
  op: 'add-address',
  address,
  prefix,
  interface: name,
  role,
});

lab(t, 'addresses of a director are proven unique, those of a real server are silent, none is a source', async (t) => {
  const kernel = openKernel({ ipvs: false });
  const host = wiredHost('eth0', 'peer0');
  const steps = [
    add('192.0.2.100', 32, 'eth0', 'director'),
    add('2001:db8::100', 128, 'eth0', 'director'),
    add('192.0.2.101', 32, 'lo', 'real-server'),
    add('2001:db8::101', 128, 'lo', 'real-server'),
    add('2001:db8::102', 128, 'eth0', 'real-server'),
  ];
  t.strictSame(await kernel.apply(steps), []);
  const read = (): Record<string, IpAddress['addr_info'][number]> =>
    Object.fromEntries((ipJson('addr') as IpAddress[]).flatMap(({ addr_info }) => addr_info.map((a) => [a.local, a])));
  const once = read();
  const forEver = 2 ** 32 - 1;
  t.match(once['192.0.2.100'], { prefixlen: 32, valid_life_time: forEver, preferred_life_time: forEver });
  t.match(once['192.0.2.101'], { prefixlen: 32, valid_life_time: forEver });
  t.match(once['2001:db8::100'], { prefixlen: 128, tentative: true, valid_life_time: forEver, preferred_life_time: 0 });
  t.match(once['2001:db8::102'], { nodad: true, valid_life_time: forEver, preferred_life_time: 0 });
  t.match(once['2001:db8::101'], { nodad: true, preferred_life_time: 0 });
  t.notOk(once['2001:db8::102']?.tentative);
  t.notOk(once['2001:db8::100']?.nodad);
  const tentative = () => kernel.addresses().find(({ address }) => address === '2001:db8::100')?.tentative;
  t.equal(tentative(), true);
  t.ok(await until(() => tentative() === false, 5000), 'proven in the end');
  t.strictSame(await kernel.apply(steps), [], 'adding again is success');
  const deletes = steps.map((step): Step => {
    if (step.op !== 'add-address') throw new Error('an add');
    return { op: 'delete-address', address: step.address, prefix: step.prefix, interface: step.interface };
  });
  t.strictSame(await kernel.apply(deletes), []);
  t.strictSame(await kernel.apply(deletes), [], 'deleting again is success');
  t.notMatch(Object.keys(read()), /100|101|102/);
  kernel.close();
  host.close();
});

lab(t, 'an address that another host has is found out', async (t) => {
  const kernel = openKernel({ ipvs: false });
  const host = wiredHost('eth0', 'peer0');
  host.sh('ip addr add 2001:db8::100/64 dev peer0 nodad');
  await kernel.apply([add('2001:db8::100', 128, 'eth0', 'director')]);
  const ours = () => kernel.addresses().find(({ address }) => address === '2001:db8::100');
  t.ok(await until(() => ours()?.dadFailed === true, 5000));
  kernel.close();
  host.close();
});

lab(t, 'the same address with another prefix is another address, and only the named one is deleted', async (t) => {
  const kernel = openKernel({ ipvs: false });
  sh('ip link add eth0 type dummy; ip link set eth0 up; ip addr add 192.0.2.100/24 dev eth0');
  t.strictSame(await kernel.apply([add('192.0.2.100', 32, 'eth0', 'director')]), []);
  const prefixes = () =>
    kernel.addresses().flatMap(({ address, prefix }) => (address === '192.0.2.100' ? [prefix] : []));
  t.strictSame(prefixes().sort(), [24, 32]);
  await kernel.apply([{ op: 'delete-address', address: '192.0.2.100', prefix: 32, interface: 'eth0' }]);
  t.strictSame(prefixes(), [24]);
  kernel.close();
});

lab(t, 'what cannot be is refused in words', async (t) => {
  const kernel = openKernel({ ipvs: false });
  t.match(
    await kernel.apply([
      add('192.0.2.100', 32, 'eth9', 'director'),
      add('rs1', 32, 'lo', 'director'),
      add('192.0.2.100', 33, 'lo', 'director'),
      { op: 'delete-address', address: '192.0.2.100', prefix: 32, interface: 'eth9' },
      { op: 'set-sysctl', key: 'net.ipv4.conf.eth9.arp_ignore', value: '1' },
      { op: 'set-sysctl', key: 'net.ipv4.conf.lo.arp_ignore', value: 'fox' },
      {
        op: 'add-service',
        service: { vip: '192.0.2.100', port: 80, protocol: 'tcp' },
        config: { scheduler: 'rr', schedulerBits: [], persistenceSeconds: 0, persistencePrefix: 32, onePacket: false },
      },
    ]),
    [
      { code: 'ENODEV', message: /no such interface/ },
      { code: 'EINVAL', message: /"rs1" is no address/ },
      { code: 'EINVAL', message: /0 to 32/ },
      { code: 'ENOENT', message: /no such sysctl/ },
      { code: 'EINVAL', message: /does not take this value/ },
      { code: 'EPROTONOSUPPORT' },
    ],
  );
  await t.rejects(kernel.services(), { code: 'EPROTONOSUPPORT' });
  kernel.close();
});

lab(t, 'an IPv6 address where IPv6 is off says how to switch it on', async (t) => {
  const kernel = openKernel({ ipvs: false });
  sh('sysctl -qw net.ipv6.conf.lo.disable_ipv6=1');
  t.match(await kernel.apply([add('2001:db8::100', 128, 'lo', 'real-server')]), [
    { code: 'EACCES', message: /IPv6 is off there; try `sysctl -w net.ipv6.conf.lo.disable_ipv6=0`/ },
  ]);
  kernel.close();
});

lab(t, 'sysctls of an interface with a dot in its name are its own', async (t) => {
  const kernel = openKernel({ ipvs: false });
  sh('ip link add eth0 type dummy; ip link add link eth0 name eth0.100 type vlan id 100');
  const key = 'net.ipv4.conf.eth0/100.arp_ignore';
  t.equal(kernel.sysctl(key), '0');
  t.strictSame(await kernel.apply([{ op: 'set-sysctl', key, value: '2' }]), []);
  t.equal(sh(`sysctl -n ${key}`).trim(), '2');
  t.equal(kernel.sysctl('net.ipv4.conf.eth0.arp_ignore'), '0');
  t.equal(kernel.sysctl('net.ipv4.conf.eth9.arp_ignore'), undefined);
  kernel.close();
});

lab(t, 'a sysctl that is read-only, as in a container, is refused in words', async (t) => {
  const kernel = openKernel({ ipvs: false });
  sh('mount -t proc proc /mnt -o ro && mount --bind /mnt/sys /proc/sys && mount -o remount,ro,bind /proc/sys');
  t.match(await kernel.apply([{ op: 'set-sysctl', key: 'net.ipv4.ip_forward', value: '1' }]), [
    { code: 'EROFS', message: /read-only here.*container/ },
  ]);
  sh('umount /proc/sys; umount /mnt');
  kernel.close();
});

lab(t, 'the boot id is of this boot and of this network', async (t) => {
  const kernel = openKernel({ ipvs: false });
  const before = kernel.bootId();
  t.equal(before, kernel.bootId());
  t.ok(before.startsWith(sh('cat /proc/sys/kernel/random/boot_id').trim()));
  freshNetwork();
  t.not(kernel.bootId(), before);
  kernel.close();
});
