import t from 'tap';
import { vip, vip6 } from '../../infra/lab/hosts.ts';
import { startImages, startPhp } from '../../infra/lab/parts.ts';
import { capture, type Frame } from './capture.ts';
import { askUdp, fetchImages, fetchPage, startUdpEcho } from './images.ts';
import { addresses, holdersOf, ipvs } from './kernel.ts';
import { makeSite } from './site.ts';

const site = await makeSite(t, { extraHosts: ['neighbour'] });
const { api, client, router, director, rs1, rs2, hosts, until } = site;
const neighbour = hosts.neighbour!;
const size = 20_000;
const realServerMacs = [rs1.mac, rs2.mac];
const ofServers = (field: 'ip' | 'ip6') => ({ rs1: { address: rs1[field] }, rs2: { address: rs2[field] } });
const ports = {
  '80/tcp': { policy: 'real-servers', scheduler: 'rr' },
  '5353/udp': { policy: 'real-servers', scheduler: 'rr', onePacket: true },
  '8080/tcp': { policy: 'director' },
} as const;

/** Names of the hosts whose cards sent these frames. */
const senders = (frames: Frame[]): string[] => {
  const names = new Map(Object.values(hosts).map(({ mac, name }) => [mac, name]));
  return [...new Set(frames.map(({ from }) => names.get(from) ?? from))].sort();
};

await Promise.all([startPhp(director), ...[rs1, rs2].map((rs) => startImages(rs, { count: 1, bytes: size }))]);
await site.startController();
for (const rs of [rs1, rs2]) site.startAgent(rs);

t.test('the director announces a VIP that it takes, by gratuitous ARP and unsolicited NA', async (t) => {
  const dump = await capture(router, 'eth0', 'arp or (icmp6 and ip6[40] = 136)');
  await api.put('web', { vip, ports, realServers: ofServers('ip') });
  await api.put('web6', { vip: vip6, ports, realServers: ofServers('ip6') });
  const isArp = ({ text }: Frame) => text.includes(`Request who-has ${vip} `) && text.includes(`tell ${vip},`);
  const isReply = ({ text }: Frame) => text.includes(`Reply ${vip} is-at ${director.mac}`);
  const isNa = ({ text }: Frame) => text.includes(`> ff02::1: ICMP6, neighbor advertisement`) && text.includes(vip6);
  const frames = await dump.stop((all) => [isArp, isReply, isNa].every((is) => all.some(is)), 'announcements');
  for (const is of [isArp, isReply, isNa]) t.same(senders(frames.filter(is)), ['director']);
  const toAll = frames.filter(isArp).map(({ to }) => to);
  t.ok(
    toAll.every((to) => to === 'ff:ff:ff:ff:ff:ff' || to === 'Broadcast'),
    'sent to everybody',
  );
  const held = (await addresses(director)).filter(({ address }) => address === vip || address === vip6);
  t.match(held, [
    { dev: 'eth0', address: vip, prefix: 32 },
    { dev: 'eth0', address: vip6, prefix: 128, preferred: 0 },
  ]);
});

t.test('programs on the real servers can bind to the VIPs', async () => {
  for (const rs of [rs1, rs2]) {
    for (const address of [vip, vip6])
      await until(async () => (await holdersOf(rs, address)).length === 1, `${address} on ${rs.name}`);
    const echo = startUdpEcho(rs, [vip, vip6], 5353);
    await until(async () => (await echo.tail()).match(/listening/g)?.length === 2, 'the echo');
  }
});

t.test('real servers have the VIPs on lo and get their weights', async (t) => {
  const destinations = async () => (await ipvs(director)).filter((line) => line.startsWith('-a'));
  await until(async () => (await destinations()).every((line) => line.endsWith('-w 100')), 'all weights');
  t.equal((await destinations()).length, 8);
  for (const rs of [rs1, rs2]) {
    const held = (await addresses(rs)).filter(({ address }) => address === vip || address === vip6);
    t.match(held, [
      { dev: 'lo', address: vip, prefix: 32 },
      { dev: 'lo', address: vip6, prefix: 128, preferred: 0 },
    ]);
  }
});

for (const [family, address] of [
  ['IPv4', vip],
  ['IPv6', vip6],
] as const) {
  const from = family === 'IPv4' ? client.ip : client.ip6;

  t.test(`images over ${family} come straight from the real servers, not through the director`, async (t) => {
    const [onRouter, onDirector] = await Promise.all([
      capture(router, 'eth0', `host ${address} and tcp port 80`),
      // Not what the prober sends and gets.
      capture(director, 'eth0', `tcp port 80 and host ${from}`),
    ]);
    const before = await site.counters();
    const images = await fetchImages(client, address, 6);
    const after = await site.counters();
    t.same(
      images.map(({ status, bytes }) => [status, bytes]),
      Array(6).fill([200, size]),
    );
    t.same([...new Set(images.map(({ servedBy }) => servedBy))].sort(), ['rs1', 'rs2']);

    const isReply = ({ text }: Frame) => text.includes(`: ${address}.80 > ${from}.`);
    const isRequest = ({ text }: Frame) => text.includes(`: ${from}.`) && text.includes(` > ${address}.80:`);
    const closed = (frames: Frame[]) => frames.filter((f) => isRequest(f) && f.text.includes('Flags [F')).length >= 6;
    const seen = await onRouter.stop(closed, 'the connections to end');
    t.same(senders(seen.filter(isReply)), ['rs1', 'rs2'], 'the replies have the real servers’ MACs');
    t.same(senders(seen.filter(isRequest)), ['router']);
    t.ok(
      seen.filter(isRequest).every(({ to }) => to === director.mac),
      'every request goes to the director',
    );

    const passed = await onDirector.stop((all) => closed(all.filter((f) => f.from === director.mac)), 'forwarding');
    const sent = passed.filter((frame) => frame.from === director.mac);
    t.ok(sent.every(isRequest), 'the director sends nothing for port 80 but what clients asked');
    t.ok(
      sent.every(({ to }) => realServerMacs.includes(to)),
      'to the real servers',
    );
    t.same(
      passed.filter((frame) => realServerMacs.includes(frame.from)),
      [],
      'no reply comes to the director',
    );
    const through = after.director!.tx - before.director!.tx;
    t.ok(through < (6 * size) / 4, `${through} of ${6 * size} bytes left through the director`);
  });

  t.test(`datagrams over ${family} are answered by the real servers from the VIP`, async (t) => {
    const dump = await capture(router, 'eth0', `host ${address} and udp port 5353`);
    const answers = await Promise.all(Array.from({ length: 4 }, () => askUdp(client, address, 5353)));
    t.same(answers.sort(), ['rs1', 'rs1', 'rs2', 'rs2']);
    const isReply = ({ text }: Frame) => text.includes(`: ${address}.5353 > ${from}.`);
    const frames = await dump.stop((all) => all.filter(isReply).length >= 4, 'four answers');
    t.same(senders(frames.filter(isReply)), ['rs1', 'rs2']);
  });

  t.test(`PHP over ${family} stays on the director, which answers with its own MAC`, async (t) => {
    const dump = await capture(router, 'eth0', `host ${address} and tcp port 8080`);
    t.match(await fetchPage(client, address, 8080), `Hello from director`);
    const isReply = ({ text }: Frame) => text.includes(`: ${address}.8080 > ${from}.`);
    const frames = await dump.stop((all) => all.some((f) => isReply(f) && f.text.includes('Flags [F')), 'its end');
    t.same(senders(frames.filter(isReply)), ['director']);
  });
}

t.test('only the director answers ARP for the VIP, whoever asks', async (t) => {
  for (const asking of [router, neighbour]) {
    const arping = ['busybox', 'arping', '-c', '3', '-w', '5', '-I', 'eth0', vip];
    const { stdout } = await asking.exec(arping);
    const answers = [...stdout.matchAll(/from \S+ \[([0-9a-f:]+)\]/g)].map(([, mac]) => mac);
    t.same(answers, Array(3).fill(director.mac), `asked by ${asking.name}: one answer a question`);
  }
});

t.test('only the director answers neighbor solicitations for the VIP, whoever asks', async (t) => {
  for (const asking of [router, neighbour]) {
    const dump = await capture(asking, 'eth0', 'icmp6 and ip6[40] = 136');
    const solicited = ({ text }: Frame) => text.includes(`tgt is ${vip6}`);
    for (let asked = 1; asked <= 3; asked++) {
      await asking.exec(['ip', 'neigh', 'flush', 'to', vip6]);
      await asking.exec(['busybox', 'ping6', '-c', '1', '-W', '5', vip6]);
      await until(async () => (await dump.frames()).filter(solicited).length >= asked, 'an answer');
    }
    const frames = await dump.stop(() => true, 'the end');
    t.same(
      frames.filter(solicited).map(({ from }) => from),
      Array(3).fill(director.mac),
      `asked by ${asking.name}`,
    );
  }
});

t.test('a real server that looks for its gateway names its own address, never the VIP', async (t) => {
  const dump = await capture(router, 'eth0', 'arp');
  const asks = ({ from, text }: Frame) => realServerMacs.includes(from) && text.includes('Request who-has 192.0.2.1 ');
  for (const rs of [rs1, rs2]) await rs.exec(['ip', 'neigh', 'flush', 'dev', 'eth0']);
  await fetchImages(client, vip, 2);
  const frames = await dump.stop((all) => senders(all.filter(asks)).length === 2, 'both to ask');
  const named = frames.filter(asks).map(({ text }) => /tell ([^, ]+)/.exec(text)?.[1]);
  t.same([...new Set(named)].sort(), [rs1.ip, rs2.ip]);
});
