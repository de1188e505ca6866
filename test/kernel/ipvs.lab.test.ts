import { deepStrictEqual } from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import fc from 'fast-check';
import t from 'tap';
import { hostPrefix } from '../../src/core/address.ts';
import {
  type Destination,
  destinationKey,
  type SchedulerBit,
  type Service,
  type ServiceConfig,
  type ServiceId,
  serviceKey,
} from '../../src/core/kernel-state.ts';
import { commandOf, type Step } from '../../src/core/steps.ts';
import type { Kernel } from '../../src/kernel/kernel.ts';
import { openKernel } from '../../src/kernel/open.ts';
import { seed } from '../property.ts';
import { lab, plainNode, sh, sleep, wiredHost } from './lab.ts';

// All but twos, which this kernel lacks.
const schedulers = 'rr wrr lc wlc lblc lblcr dh sh sed nq fo ovf mh'.split(' ');
const bits: SchedulerBit[] = ['flag-1', 'flag-2', 'flag-3'];
const methods = ['gatewaying', 'tunneling', 'masquerading'] as const;

const id: ServiceId = { vip: '192.0.2.100', port: 80, protocol: 'tcp' };
const config: ServiceConfig = {
  scheduler: 'wlc',
  schedulerBits: [],
  persistenceSeconds: 0,
  persistencePrefix: 32,
  onePacket: false,
};
const to: Destination = {
  address: '192.0.2.11',
  port: 80,
  method: 'gatewaying',
  weight: 100,
  upperThreshold: 0,
  lowerThreshold: 0,
};

/** Services as ipvsadm can make them. */
const serviceArb = fc.constantFrom('192.0.2.', '2001:db8::').chain((network) => {
  const full = hostPrefix(network);
  const record = <T>(model: { [K in keyof T]: fc.Arbitrary<T[K]> }) =>
    fc.record(model, { noNullPrototype: true }) as fc.Arbitrary<T>;
  const limits = fc.tuple(fc.nat(70_000), fc.nat(70_000)).map(([a, b]) => [Math.max(a, b), Math.min(a, b)] as const);
  const destination = fc
    .tuple(fc.integer({ min: 10, max: 99 }), fc.constantFrom(...methods), fc.nat(65535), limits)
    .map(([host, method, weight, [upperThreshold, lowerThreshold]]) => ({
      address: `${network}${host}`,
      port: 80,
      method,
      weight,
      upperThreshold,
      lowerThreshold,
    }));
  return record<Service>({
    id: record<ServiceId>({
      vip: fc.integer({ min: 100, max: 199 }).map((n) => `${network}${n}`),
      port: fc.constantFrom(80, 443, 65535),
      protocol: fc.constantFrom('tcp', 'udp'),
    }),
    config: record<ServiceConfig>({
      scheduler: fc.constantFrom(...schedulers),
      schedulerBits: fc.subarray(bits),
      persistenceSeconds: fc.constantFrom(0, 1, 300, 86_400),
      persistencePrefix: fc.integer({ min: 1, max: full }),
      onePacket: fc.boolean(),
    }),
    destinations: fc.uniqueArray(destination, { selector: destinationKey, maxLength: 4 }),
  }).map((service) => {
    // ipvsadm can give a netmask only to a persistent service, and one-packet only to UDP.
    if (service.config.persistenceSeconds === 0) service.config.persistencePrefix = full;
    if (service.id.protocol === 'tcp') service.config.onePacket = false;
    for (const destination of service.destinations) destination.port = service.id.port;
    return service;
  });
});
const tableArb = fc.uniqueArray(serviceArb, { selector: ({ id }) => serviceKey(id), maxLength: 5 });

const stepsOf = (services: Service[]): Step[] =>
  services.flatMap(({ id, config, destinations }) => [
    { op: 'add-service' as const, service: id, config },
    ...destinations.map((destination) => ({ op: 'add-destination' as const, service: id, destination })),
  ]);

/** The table as ipvsadm prints it, thresholds too, in one order. */
const oracle = (): string[] =>
  sh('ipvsadm -Sn; ipvsadm -Ln --thresholds | grep -- -\\> || true')
    .split('\n')
    .map((line) => line.trim().replace(/\s+/g, ' '))
    .sort();

const empty = () => sh('ipvsadm -C');
const run = (steps: readonly Step[]) => sh(steps.map(commandOf).join('\n'));

async function withKernel(use: (kernel: Kernel) => Promise<void>): Promise<void> {
  const kernel = openKernel();
  try {
    await use(kernel);
  } finally {
    kernel.close();
  }
}

/** The table as this project reads it, without counters and in one order. */
async function tableOf(kernel: Kernel): Promise<Service[]> {
  const services = [...(await kernel.services()).values()];
  const plain = services.map(({ id, config, destinations }) => ({
    id,
    config,
    destinations: destinations.map(({ connections, ...rest }) => rest),
  }));
  return ordered(plain);
}

const ordered = (services: Service[]): Service[] =>
  services
    .map((service) => ({
      ...service,
      destinations: service.destinations.toSorted((a, b) => a.address.localeCompare(b.address)),
    }))
    .sort((a, b) => serviceKey(a.id).localeCompare(serviceKey(b.id)));

lab(t, 'what is applied is what ipvsadm makes of the same steps, and both are read alike', async (t) => {
  t.comment(`FC_SEED=${seed}`);
  await withKernel(async (kernel) => {
    await fc.assert(
      fc.asyncProperty(tableArb, async (services) => {
        empty();
        const steps = stepsOf(services);
        deepStrictEqual(await kernel.apply(steps), []);
        const ours = oracle();
        deepStrictEqual(await tableOf(kernel), ordered(services));
        empty();
        run(steps);
        deepStrictEqual(ours, oracle());
        deepStrictEqual(await tableOf(kernel), ordered(services));
        deepStrictEqual(await kernel.apply(steps), []);
        deepStrictEqual(ours, oracle());
      }),
      { seed, numRuns: 12 },
    );
    t.pass('every table');
  });
});
lab(t, 'every scheduler there is and each of its bits is set, read and changed', async (t) => {
  await withKernel(async (kernel) => {
    for (const scheduler of schedulers)
      for (const schedulerBits of [[], ...bits.map((bit) => [bit]), bits]) {
        const service = { id, config: { ...config, scheduler, schedulerBits }, destinations: [] };
        t.strictSame(await kernel.apply([{ op: 'add-service', service: id, config: service.config }]), []);
        t.strictSame(await tableOf(kernel), [service], `${scheduler} ${schedulerBits}`);
      }
  });
});

lab(t, 'services by firewall mark are neither seen nor touched', async (t) => {
  await withKernel(async (kernel) => {
    sh('ipvsadm -A -f 7 -s rr; ipvsadm -a -f 7 -r 192.0.2.11 -g; ipvsadm -A -f 8 -6 -s wlc');
    const before = oracle();
    await kernel.apply(stepsOf([{ id, config, destinations: [to] }]));
    t.strictSame([...(await kernel.services()).keys()], ['192.0.2.100:80/tcp']);
    t.strictSame([...(await kernel.serviceConfigs()).keys()], ['192.0.2.100:80/tcp']);
    await kernel.apply([{ op: 'delete-service', service: id }]);
    t.strictSame(oracle(), before);
  });
});

lab(t, 'applying twice is the same as once, for adds, sets and deletes', async (t) => {
  await withKernel(async (kernel) => {
    const changed = { ...to, weight: 1, upperThreshold: 9, lowerThreshold: 3, method: 'tunneling' as const };
    const phases: Step[][] = [
      stepsOf([{ id, config, destinations: [to] }]),
      [
        { op: 'set-service', service: id, config: { ...config, scheduler: 'mh', schedulerBits: ['flag-1'] } },
        { op: 'set-destination', service: id, destination: changed },
      ],
      [{ op: 'delete-destination', service: id, address: to.address, port: 80 }],
      [{ op: 'delete-service', service: id }],
      [{ op: 'delete-destination', service: id, address: to.address, port: 80 }],
    ];
    for (const steps of phases) {
      t.strictSame(await kernel.apply(steps), []);
      const once = oracle();
      t.strictSame(await kernel.apply(steps), []);
      t.strictSame(oracle(), once, commandOf(steps.at(-1)!));
    }
    t.strictSame(await tableOf(kernel), []);
  });
});

lab(t, 'an add of what is there in another way makes it so', async (t) => {
  await withKernel(async (kernel) => {
    sh(
      'ipvsadm -A -t 192.0.2.100:80 -s rr -p 60 -M 255.255.255.0; ipvsadm -a -t 192.0.2.100:80 -r 192.0.2.11:80 -m -w 7',
    );
    t.strictSame(await kernel.apply(stepsOf([{ id, config, destinations: [to] }])), []);
    t.strictSame(await tableOf(kernel), [{ id, config, destinations: [to] }]);
  });
});

lab(t, 'a refused step fails in words and the steps around it are applied', async (t) => {
  await withKernel(async (kernel) => {
    const other = { ...id, port: 81 };
    const failures = await kernel.apply([
      { op: 'add-service', service: other, config: { ...config, scheduler: 'fox' } },
      { op: 'add-destination', service: other, destination: to },
      { op: 'add-service', service: id, config },
      { op: 'add-destination', service: id, destination: { ...to, address: '2001:db8::11' } },
      { op: 'add-destination', service: id, destination: { ...to, weight: -1 } },
      { op: 'add-destination', service: id, destination: { ...to, upperThreshold: 1, lowerThreshold: 2 } },
      { op: 'add-destination', service: id, destination: to },
    ]);
    t.match(failures, [
      { step: { op: 'add-service' }, code: 'ENOENT', message: /modprobe ip_vs_fox/ },
      { code: 'ESRCH', message: /its service is not there/ },
      { code: 'EINVAL', message: /two address families/ },
      { code: 'ERANGE', message: /weight below 0/ },
      { code: 'ERANGE', message: /lower threshold above/ },
    ]);
    t.strictSame(await tableOf(kernel), [{ id, config, destinations: [to] }]);
  });
});

lab(t, 'traffic and connections are counted', async (t) => {
  await withKernel(async (kernel) => {
    const client = wiredHost('eth0', 'eth1');
    sh('ip addr add 192.0.2.100/24 dev eth0');
    client.sh('ip addr add 192.0.2.1/24 dev eth1');
    const udp: ServiceId = { ...id, port: 9999, protocol: 'udp' };
    await kernel.apply(stepsOf([{ id: udp, config, destinations: [{ ...to, address: id.vip, port: 9999 }] }]));
    client.sh('for i in 1 2 3; do bash -c "echo hello > /dev/udp/192.0.2.100/9999"; done');
    client.close();
    const key = serviceKey(udp);
    // The kernel adds up the counters of its CPUs every 2 s (ip_vs_est.c).
    await sleep(2500);
    const traffic = (await kernel.serviceConfigs()).get(key)?.traffic;
    const stats = /UDP\s+192.0.2.100:9999\s+(\d+)\s+(\d+)\s+\d+\s+(\d+)/.exec(sh('ipvsadm -Ln --stats --exact'));
    t.strictSame([traffic?.connections, traffic?.packetsIn, traffic?.bytesIn], stats?.slice(1, 4).map(Number));
    t.match(traffic, { connections: 3, packetsIn: 3 });
    const found = (await kernel.services()).get(key)?.destinations[0]?.connections;
    t.ok(found && found.active + found.inactive > 0);
  });
});

lab(t, 'ten thousand destinations are applied and read whole', async (t) => {
  await withKernel(async (kernel) => {
    const services = Array.from(
      { length: 1000 },
      (_, n): Service => ({
        id: { vip: `10.0.${n >> 8}.${n & 255}`, port: 80, protocol: 'tcp' },
        config,
        destinations: Array.from({ length: 10 }, (_, m) => ({ ...to, address: `10.1.${m}.${1 + (n % 250)}` })),
      }),
    );
    let turns = 0;
    const counting = setInterval(() => {
      turns += 1;
    }, 1);
    const at = [performance.now()];
    t.strictSame(await kernel.apply(stepsOf(services)), []);
    at.push(performance.now());
    const table = await tableOf(kernel);
    at.push(performance.now());
    clearInterval(counting);
    deepStrictEqual(table, ordered(services));
    t.comment(
      `apply ${Math.round(at[1]! - at[0]!)} ms, read ${Math.round(at[2]! - at[1]!)} ms, ${turns} turns of timers`,
    );
    t.ok(turns > 20, 'timers ran in between');
  });
});

/** Opens the kernel in a process of its own, started by a command, and answers how that failed. */
const openedBy = (command: string): { code?: string; exitCode?: number; message?: string } => {
  const script =
    'import("./src/kernel/open.ts").then((m) => m.openKernel()).then(() => console.log("{}"), (e) => console.log(JSON.stringify({ code: e.code, exitCode: e.exitCode, message: e.message })))';
  return JSON.parse(
    execFileSync('sh', ['-c', `${command} ${plainNode} --input-type=module -e '${script}'`], {
      encoding: 'utf8',
    }),
  );
};

lab(t, 'without privilege the kernel does not open, and says what to do', async (t) => {
  for (const command of [
    'setpriv --bounding-set=-net_admin --inh-caps=-all',
    'setpriv --reuid=65534 --clear-groups --inh-caps=-all',
    'unshare --user --map-root-user',
  ])
    t.match(openedBy(command), { code: 'EPERM', exitCode: 3, message: /as root or with CAP_NET_ADMIN/ }, command);
  t.strictSame(openedBy(''), {}, 'with it, it opens');
});
