import t from 'tap';
import type { Destination, ServiceConfig, ServiceId } from '../../src/core/kernel-state.ts';
import { writer } from '../../src/kernel/attributes.ts';
import { writeStep } from '../../src/kernel/ipvs-encode.ts';
import { datagram } from './wires.ts';

const service: ServiceId = { vip: '192.0.2.100', port: 80, protocol: 'tcp' };
const config: ServiceConfig = {
  scheduler: 'wlc',
  schedulerBits: [],
  persistenceSeconds: 0,
  persistencePrefix: 32,
  onePacket: false,
};
const destination: Destination = {
  address: '192.0.2.11',
  port: 80,
  method: 'gatewaying',
  weight: 100,
  upperThreshold: 0,
  lowerThreshold: 0,
};

t.test('a service is written byte by byte as ipvsadm -A -t 192.0.2.100:80 -s rr -p 300 writes it', async (t) => {
  const bytes = datagram(30, 1, (to) =>
    writeStep(to, { op: 'add-service', service, config: { ...config, scheduler: 'rr', persistenceSeconds: 300 } }),
  );
  t.equal(
    bytes.subarray(16).toString('hex'),
    [
      '01010000', // IPVS_CMD_NEW_SERVICE, version 1
      '54000180', // IPVS_CMD_ATTR_SERVICE, nested
      '0600010002000000', // AF 2
      '0600020006000000', // PROTOCOL 6
      '14000300c0000264000000000000000000000000', // ADDR
      '0600040000500000', // PORT 80, big-endian
      '0700060072720000', // SCHED_NAME rr
      '0c00070001000000ffffffff', // FLAGS persistent, mask all
      '080008002c010000', // TIMEOUT 300
      '08000900ffffffff', // NETMASK
    ].join(''),
  );
});

t.test('an IPv4 netmask is in network order, an IPv6 one a prefix length in host order', async (t) => {
  const netmask = (vip: string, persistencePrefix: number) =>
    datagram(30, 1, (to) =>
      writeStep(to, { op: 'add-service', service: { ...service, vip }, config: { ...config, persistencePrefix } }),
    )
      .subarray(-4)
      .toString('hex');
  t.equal(netmask('192.0.2.100', 20), 'fffff000');
  t.equal(netmask('192.0.2.100', 1), '80000000');
  t.equal(netmask('2001:db8::100', 64), '40000000');
});

t.test('what would be no message or no service is refused in words, and nothing is written', async (t) => {
  const refused = (what: Parameters<typeof writeStep>[1], words: RegExp) => {
    const to = writer(512);
    t.throws(() => writeStep(to, what), { message: words });
  };
  refused({ op: 'add-service', service: { ...service, port: 0 }, config }, /port 0.*persistence/);
  refused({ op: 'add-service', service, config: { ...config, scheduler: 'a'.repeat(16) } }, /no name of a scheduler/);
  refused({ op: 'set-service', service, config: { ...config, scheduler: '' } }, /no name of a scheduler/);
  refused({ op: 'set-service', service, config: { ...config, scheduler: 'a\0b' } }, /no name of a scheduler/);
  refused({ op: 'add-service', service, config: { ...config, persistencePrefix: 33 } }, /from 1 to 32/);
  refused({ op: 'add-service', service, config: { ...config, persistencePrefix: 0 } }, /from 1 to 32/);
  refused({ op: 'delete-service', service: { ...service, vip: 'rs1' } }, /"rs1" is no address/);
  refused({ op: 'delete-service', service: { ...service, vip: '010.0.0.1' } }, /is no address/);
  refused({ op: 'delete-service', service: { ...service, port: 65536 } }, /range/);
  refused(
    { op: 'add-destination', service, destination: { ...destination, address: '2001:db8::11' } },
    /two address families/,
  );
  refused({ op: 'add-destination', service, destination: { ...destination, weight: 2 ** 31 } }, /range/);
  refused({ op: 'set-destination', service, destination: { ...destination, upperThreshold: -1 } }, /range/);
  refused({ op: 'delete-destination', service, address: '', port: 80 }, /is no address/);
});

t.test('port 0 with persistence is every port, and tunneling joins the two families', async (t) => {
  const everyPort = { ...config, persistenceSeconds: 60 };
  t.doesNotThrow(() =>
    writeStep(writer(512), { op: 'add-service', service: { ...service, port: 0 }, config: everyPort }),
  );
  t.doesNotThrow(() =>
    writeStep(writer(512), {
      op: 'add-destination',
      service,
      destination: { ...destination, address: '2001:db8::11', method: 'tunneling' },
    }),
  );
});
