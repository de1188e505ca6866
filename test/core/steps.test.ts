import t from 'tap';
import { commandOf, netmask, type Step, subjectOf } from '../../src/core/steps.ts';

const service = { vip: '192.0.2.100', port: 80, protocol: 'tcp' } as const;
const service6 = { vip: '2001:db8::100', port: 53, protocol: 'udp' } as const;
const config = {
  scheduler: 'wlc',
  schedulerBits: [],
  persistenceSeconds: 0,
  persistencePrefix: 32,
  onePacket: false,
};
const destination = {
  address: '192.0.2.11',
  port: 80,
  method: 'gatewaying',
  weight: 100,
  upperThreshold: 0,
  lowerThreshold: 0,
} as const;
const destination6 = { ...destination, address: '2001:db8::11', port: 53 };
const vip = { address: '192.0.2.100', prefix: 32, interface: 'eth0' };
const vip6 = { address: '2001:db8::100', prefix: 128, interface: 'eth0' };

const lines: [Step, string][] = [
  [{ op: 'add-service', service, config }, 'ipvsadm -A -t 192.0.2.100:80 -s wlc'],
  [
    {
      op: 'set-service',
      service: service6,
      config: { ...config, scheduler: 'rr', persistencePrefix: 128, onePacket: true },
    },
    'ipvsadm -E -u [2001:db8::100]:53 -s rr -o',
  ],
  [
    { op: 'add-service', service, config: { ...config, scheduler: 'sh', schedulerBits: ['flag-1', 'flag-2'] } },
    'ipvsadm -A -t 192.0.2.100:80 -s sh -b flag-1,flag-2',
  ],
  [
    { op: 'add-service', service, config: { ...config, persistenceSeconds: 300 } },
    'ipvsadm -A -t 192.0.2.100:80 -s wlc -p 300',
  ],
  [
    { op: 'add-service', service, config: { ...config, persistenceSeconds: 300, persistencePrefix: 24 } },
    'ipvsadm -A -t 192.0.2.100:80 -s wlc -p 300 -M 255.255.255.0',
  ],
  [
    { op: 'add-service', service: service6, config: { ...config, persistenceSeconds: 300, persistencePrefix: 64 } },
    'ipvsadm -A -u [2001:db8::100]:53 -s wlc -p 300 -M 64',
  ],
  [{ op: 'delete-service', service: service6 }, 'ipvsadm -D -u [2001:db8::100]:53'],
  [{ op: 'add-destination', service, destination }, 'ipvsadm -a -t 192.0.2.100:80 -r 192.0.2.11:80 -g -w 100'],
  [
    { op: 'set-destination', service: service6, destination: { ...destination6, weight: 0, method: 'tunneling' } },
    'ipvsadm -e -u [2001:db8::100]:53 -r [2001:db8::11]:53 -i -w 0',
  ],
  [
    {
      op: 'set-destination',
      service,
      destination: { ...destination, upperThreshold: 9, lowerThreshold: 3, method: 'masquerading' },
    },
    'ipvsadm -e -t 192.0.2.100:80 -r 192.0.2.11:80 -m -w 100 -x 9 -y 3',
  ],
  [
    { op: 'add-destination', service, destination: { ...destination, upperThreshold: 9 } },
    'ipvsadm -a -t 192.0.2.100:80 -r 192.0.2.11:80 -g -w 100 -x 9 -y 0',
  ],
  [
    { op: 'delete-destination', service, address: '192.0.2.11', port: 80 },
    'ipvsadm -d -t 192.0.2.100:80 -r 192.0.2.11:80',
  ],
  [{ op: 'add-address', ...vip, role: 'director' }, 'ip addr add 192.0.2.100/32 dev eth0'],
  [{ op: 'add-address', ...vip, interface: 'lo', role: 'real-server' }, 'ip addr add 192.0.2.100/32 dev lo'],
  [{ op: 'add-address', ...vip6, role: 'director' }, 'ip -6 addr add 2001:db8::100/128 dev eth0 preferred_lft 0'],
  [
    { op: 'add-address', ...vip6, interface: 'lo', role: 'real-server' },
    'ip -6 addr add 2001:db8::100/128 dev lo nodad preferred_lft 0',
  ],
  [{ op: 'delete-address', ...vip }, 'ip addr del 192.0.2.100/32 dev eth0'],
  [{ op: 'delete-address', ...vip6 }, 'ip -6 addr del 2001:db8::100/128 dev eth0'],
  [{ op: 'announce', address: vip.address, interface: 'eth0' }, 'arping -U -c 3 -I eth0 192.0.2.100'],
  [{ op: 'announce', address: vip6.address, interface: 'eth0' }, 'ndsend 2001:db8::100 eth0'],
  [{ op: 'set-sysctl', key: 'net.ipv4.conf.all.arp_ignore', value: '1' }, 'sysctl -w net.ipv4.conf.all.arp_ignore=1'],
];

t.test('every step prints the command that a person would type', async (t) => {
  for (const [step, line] of lines) t.equal(commandOf(step), line);
});

t.test('a step is about its service, its address or its sysctl', async (t) => {
  t.equal(subjectOf({ op: 'delete-destination', service, address: '192.0.2.11', port: 80 }), '192.0.2.100:80/tcp');
  t.equal(subjectOf({ op: 'delete-address', ...vip }), '192.0.2.100');
  t.equal(subjectOf({ op: 'announce', address: vip.address, interface: 'eth0' }), '192.0.2.100');
  t.equal(subjectOf({ op: 'set-sysctl', key: 'net.x', value: '1' }), 'net.x');
});

t.test('a prefix length has a dotted netmask', async (t) => {
  t.strictSame([1, 8, 17, 24, 31, 32].map(netmask), [
    '128.0.0.0',
    '255.0.0.0',
    '255.255.128.0',
    '255.255.255.0',
    '255.255.255.254',
    '255.255.255.255',
  ]);
});
