import { deepStrictEqual } from 'node:assert/strict';
import fc from 'fast-check';
import t from 'tap';
import { type Values, writeAttributes } from '../../src/kernel/attributes.ts';
import { KernelError } from '../../src/kernel/errors.ts';
import { CMD, CMD_ATTR, type SVC_ATTR } from '../../src/kernel/ipvs-attributes.ts';
import { addressTexts, readDestination, readService } from '../../src/kernel/ipvs-decode.ts';
import { type IpvsStep, writeCommand, writeStep } from '../../src/kernel/ipvs-encode.ts';
import type { Message } from '../../src/kernel/messages.ts';
import { holds } from '../property.ts';
import { configArb, destinationArb, familyArb, serviceIdArb } from './things.ts';
import { datagram, messagesOf } from './wires.ts';

const messageOf = (step: IpvsStep): Message => messagesOf(datagram(30, 1, (to) => writeStep(to, step)))[0]!;

/** A service as the kernel sends it. */
const reply = (SERVICE: Values<typeof SVC_ATTR>): Message =>
  messagesOf(
    datagram(30, 1, (to) => {
      writeCommand(to, CMD.NEW_SERVICE);
      writeAttributes(to, CMD_ATTR, { SERVICE });
    }),
  )[0]!;

const web = {
  AF: 2,
  PROTOCOL: 6,
  ADDR: Buffer.from([192, 0, 2, 100, ...Array(12).fill(0)]),
  PORT: 80,
  SCHED_NAME: 'wlc',
  FLAGS: Buffer.from([2, 0, 0, 0, 255, 255, 255, 255]),
  TIMEOUT: 0,
  NETMASK: Buffer.alloc(4, 255),
} satisfies Values<typeof SVC_ATTR>;
const plain = {
  scheduler: 'wlc',
  schedulerBits: [],
  persistenceSeconds: 0,
  persistencePrefix: 32,
  onePacket: false,
};

const anything = familyArb.chain((family) => fc.tuple(serviceIdArb(family), configArb(family), destinationArb(family)));

holds(
  t,
  'a service is read as it was written',
  fc.property(anything, fc.constantFrom('add-service' as const, 'set-service' as const), ([service, config], op) => {
    const read = readService(messageOf({ op, service, config }), addressTexts());
    deepStrictEqual(read, { id: service, config, traffic: { connections: 0, packetsIn: 0, bytesIn: 0 } });
  }),
);

holds(
  t,
  'a destination is read as it was written',
  fc.property(
    anything,
    fc.constantFrom('add-destination' as const, 'set-destination' as const),
    ([service, , to], op) => {
      const read = readDestination(messageOf({ op, service, destination: to }), service.vip, addressTexts());
      deepStrictEqual(read, { ...to, connections: { active: 0, inactive: 0, persistent: 0 } });
    },
  ),
);

t.test('flags that are the kernel’s own do not show', async (t) => {
  t.strictSame(readService(reply(web), addressTexts())?.config, plain);
});

t.test('services by firewall mark and of SCTP are passed over', async (t) => {
  const { AF, SCHED_NAME, FLAGS, TIMEOUT, NETMASK } = web;
  t.equal(readService(reply({ AF, FWMARK: 7, SCHED_NAME, FLAGS, TIMEOUT, NETMASK }), addressTexts()), undefined);
  t.equal(readService(reply({ ...web, PROTOCOL: 132 }), addressTexts()), undefined);
});

t.test('traffic is of the 64-bit counters, and of the 32-bit ones where there are no others', async (t) => {
  const STATS = { CONNS: 1, INPKTS: 2, INBYTES: 3 };
  const STATS64 = { CONNS: 2 ** 33, INPKTS: 2 ** 34, INBYTES: 2 ** 50 + 1 };
  t.strictSame(readService(reply({ ...web, STATS, STATS64 }), addressTexts())?.traffic, {
    connections: 2 ** 33,
    packetsIn: 2 ** 34,
    bytesIn: 2 ** 50 + 1,
  });
  t.strictSame(readService(reply({ ...web, STATS }), addressTexts())?.traffic, {
    connections: 1,
    packetsIn: 2,
    bytesIn: 3,
  });
});

t.test('a netmask with holes, which IPVS takes, equals no prefix length', async (t) => {
  const prefixOf = (...mask: number[]) =>
    readService(reply({ ...web, NETMASK: Buffer.from(mask) }), addressTexts())?.config.persistencePrefix;
  t.equal(prefixOf(255, 255, 240, 0), 20);
  t.equal(prefixOf(0, 0, 0, 0), 0);
  t.equal(prefixOf(255, 0, 255, 0), 0);
  t.equal(prefixOf(255, 255, 0, 1), 0);
});

t.test('a destination without a family, as old kernels send it, has that of its service', async (t) => {
  const message = messagesOf(
    datagram(30, 1, (to) => {
      writeCommand(to, CMD.NEW_DEST);
      writeAttributes(to, CMD_ATTR, {
        DEST: { ADDR: Buffer.from('20010db8000000000000000000000011', 'hex'), PORT: 80, FWD_METHOD: 3, WEIGHT: 5 },
      });
    }),
  )[0]!;
  t.equal(readDestination(message, '2001:db8::100', addressTexts()).address, '2001:db8::11');
  t.equal(readDestination(message, '192.0.2.100', addressTexts()).address, '32.1.13.184');
});

holds(
  t,
  'whatever is cut off or changed in a reply, the error is a KernelError',
  fc.property(anything, fc.nat(), fc.uint8Array({ maxLength: 6 }), ([service, config, destination], cut, noise) => {
    for (const step of [
      { op: 'add-service', service, config },
      { op: 'add-destination', service, destination },
    ] as const) {
      const message = messageOf(step);
      message.buffer.set(noise, message.start + (cut % (message.end - message.start - noise.length)));
      const short = { ...message, end: message.start + (cut % (message.end - message.start)) };
      for (const one of [message, short])
        for (const read of [readService, (m: Message) => readDestination(m, service.vip, addressTexts())])
          try {
            read(one, addressTexts());
          } catch (error) {
            if (!(error instanceof KernelError)) throw error;
          }
    }
  }),
);
