import { constants } from 'node:os';
import fc from 'fast-check';
import t from 'tap';
import { table, writeAttributes } from '../../src/kernel/attributes.ts';
import { KernelError } from '../../src/kernel/errors.ts';
import { openIpvs } from '../../src/kernel/ipvs.ts';
import { CMD } from '../../src/kernel/ipvs-attributes.ts';
import { type IpvsStep, writeCommand, writeStep } from '../../src/kernel/ipvs-encode.ts';
import type { Message } from '../../src/kernel/messages.ts';
import { netlinkOver } from '../../src/kernel/netlink.ts';
import { holds } from '../property.ts';
import { answer, datagram, messagesOf, wireThat } from './wires.ts';

const { EEXIST, ENOENT, EPERM, ESRCH } = constants.errno;
const CONTROLLER = 16;
const IPVS = 30;
const DUMP = 0x300;
const CTRL_ATTR = table({ FAMILY_ID: [1, 'u16'] });

const config = { scheduler: 'wlc', schedulerBits: [], persistenceSeconds: 0, persistencePrefix: 32, onePacket: false };
const service = { vip: '192.0.2.100', port: 80, protocol: 'tcp' as const };
const destination = {
  address: '192.0.2.11',
  port: 80,
  method: 'gatewaying' as const,
  weight: 100,
  upperThreshold: 0,
  lowerThreshold: 0,
};

const commandIn = ({ buffer, start }: Message) => buffer[start]!;

/** A kernel with IPVS (unless `family` says no) that answers each IPVS message with what `reply` makes of it, or an errno. */
function kernel(reply: (message: Message) => Buffer[] | number, family: () => boolean = () => true) {
  const commands: number[] = [];
  const wire = wireThat((sent) =>
    messagesOf(sent).flatMap((message) => {
      const { type, seq, flags } = message;
      if (type === CONTROLLER)
        return family()
          ? [
              datagram(CONTROLLER, seq, (to) => {
                writeCommand(to, 1);
                writeAttributes(to, CTRL_ATTR, { FAMILY_ID: IPVS });
              }),
              answer(seq, 0),
            ]
          : [answer(seq, ENOENT)];
      commands.push(commandIn(message));
      const answers = reply(message);
      if (typeof answers !== 'number') return answers;
      return answers !== 0 || (flags & 4) !== 0 ? [answer(seq, answers)] : [];
    }),
  );
  return { wire, commands };
}

const open = (fake: { wire: Parameters<typeof netlinkOver>[0] }, load?: () => void) =>
  openIpvs(netlinkOver(fake.wire), load);

t.test('an add of what is there becomes a set', async (t) => {
  const fake = kernel((message) => ([CMD.NEW_SERVICE, CMD.NEW_DEST].includes(commandIn(message) as 1) ? EEXIST : 0));
  const ipvs = open(fake);
  fake.commands.length = 0;
  t.strictSame(
    ipvs.apply([
      { op: 'add-service', service, config },
      { op: 'add-destination', service, destination },
      { op: 'set-destination', service, destination: { ...destination, address: '192.0.2.12' } },
    ]),
    [],
  );
  t.strictSame(fake.commands, [CMD.NEW_SERVICE, CMD.NEW_DEST, CMD.SET_DEST, CMD.SET_SERVICE, CMD.SET_DEST]);
});

t.test('a delete of what is gone is success, and a set of it is not', async (t) => {
  for (const errno of [ENOENT, ESRCH]) {
    const ipvs = open(kernel(({ buffer, start }) => (buffer[start] === CMD.GET_INFO ? 0 : errno)));
    const steps: IpvsStep[] = [
      { op: 'delete-service', service },
      { op: 'delete-destination', service, address: '192.0.2.11', port: 80 },
      { op: 'set-service', service, config },
      { op: 'set-destination', service, destination },
    ];
    t.strictSame(
      ipvs.apply(steps).map(({ step }) => step),
      steps.slice(2),
    );
  }
});

t.test('a step that is no message fails alone and in words', async (t) => {
  const steps: IpvsStep[] = [
    { op: 'add-destination', service, destination: { ...destination, address: '2001:db8::11' } },
    { op: 'add-destination', service, destination },
  ];
  const fake = kernel(() => 0);
  const ipvs = open(fake);
  fake.commands.length = 0;
  t.match(ipvs.apply(steps), [{ step: steps[0], code: 'EINVAL', message: /two address families/ }]);
  t.strictSame(fake.commands, [CMD.NEW_DEST]);
});

t.test('IPVS is loaded where it is missing', async (t) => {
  let loaded = false;
  const fake = kernel(
    () => 0,
    () => loaded,
  );
  open(fake, () => {
    loaded = true;
  });
  t.strictSame(fake.commands, [CMD.GET_INFO]);
});

t.test('a kernel without IPVS ends a program with 3 and says how to get it', async (t) => {
  const fake = kernel(
    () => 0,
    () => false,
  );
  t.throws(() => open(fake, () => {}), { code: 'EPROTONOSUPPORT', exitCode: 3, message: /modprobe ip_vs/ });
});

t.test('missing privilege shows when IPVS is opened', async (t) => {
  t.throws(() => open(kernel(() => EPERM)), { code: 'EPERM', exitCode: 3, message: /CAP_NET_ADMIN/ });
});

t.test('IPVS that is gone later is an error of that moment', async (t) => {
  let there = true;
  const ipvs = open(
    kernel(
      () => 0,
      () => there,
    ),
  );
  there = false;
  await t.rejects(ipvs.services(), { code: 'EPROTONOSUPPORT' });
  t.throws(() => ipvs.serviceConfigs(), { code: 'EPROTONOSUPPORT' });
  t.throws(() => ipvs.apply([{ op: 'delete-service', service }]), { code: 'EPROTONOSUPPORT' });
});

const dumpOf = (message: Message, step: IpvsStep) => [
  datagram(IPVS, message.seq, (to) => writeStep(to, step), 2),
  datagram(3, message.seq, (to) => {
    to.at += 4;
  }),
];

t.test('the table is every service with its destinations', async (t) => {
  const ipvs = open(
    kernel((message) => {
      if ((message.flags & DUMP) === 0) return 0;
      return commandIn(message) === CMD.GET_SERVICE
        ? dumpOf(message, { op: 'add-service', service, config })
        : dumpOf(message, { op: 'add-destination', service, destination });
    }),
  );
  const connections = { active: 0, inactive: 0, persistent: 0 };
  t.strictSame(
    await ipvs.services(),
    new Map([['192.0.2.100:80/tcp', { id: service, config, destinations: [{ ...destination, connections }] }]]),
  );
  const traffic = { connections: 0, packetsIn: 0, bytesIn: 0 };
  t.strictSame(ipvs.serviceConfigs(), [{ id: service, config, traffic }]);
});

holds(
  t,
  'whatever a broken IPVS sends, reading its table gives one or a KernelError',
  fc.asyncProperty(
    fc.uint8Array({ maxLength: 8 }),
    fc.nat(160),
    fc.nat(160),
    fc.boolean(),
    async (noise, at, cut, own) => {
      const ipvs = open(
        kernel((message) => {
          if ((message.flags & DUMP) === 0) return 0;
          const isService = commandIn(message) === CMD.GET_SERVICE;
          const [found, end] = dumpOf(
            message,
            isService ? { op: 'add-service', service, config } : { op: 'add-destination', service, destination },
          );
          if (isService !== own) return [found!, end!];
          const changed = Buffer.concat([found!, Buffer.alloc(200)]);
          changed.set(noise, at);
          return [changed.subarray(0, Math.max(1, found!.length - cut)), end!];
        }),
      );
      try {
        await ipvs.services();
      } catch (error) {
        if (!(error instanceof KernelError)) throw error;
      }
    },
  ),
  1000,
);
