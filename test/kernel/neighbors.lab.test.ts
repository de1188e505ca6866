import type { ChildProcess } from 'node:child_process';
import t from 'tap';
import type { Step } from '../../src/core/steps.ts';
import type { Kernel } from '../../src/kernel/kernel.ts';
import { openKernel } from '../../src/kernel/open.ts';
import { type Host, lab, sh, sleep, until, wiredHost } from './lab.ts';

const mac = '02:00:00:00:00:0b';

/** The kernel with eth0 wired to another host's eth1, whose Ethernet address is {@link mac}. */
async function withOther(use: (kernel: Kernel, other: Host) => Promise<void>): Promise<void> {
  const other = wiredHost('eth0', 'eth1');
  other.sh(`ip link set eth1 address ${mac}`);
  sh('ip addr add 192.0.2.1/24 dev eth0; ip addr add 2001:db8::1/64 dev eth0 nodad');
  const kernel = openKernel({ ipvs: false });
  try {
    await use(kernel, other);
  } finally {
    kernel.close();
    other.close();
  }
}

/** What arrives at the other host while something is done, as tcpdump tells it. */
async function captured(other: Host, filter: string, act: () => Promise<unknown>): Promise<string> {
  const tcpdump: ChildProcess = other.spawn(`tcpdump -lnevvi eth1 '${filter}'`, { stdio: ['ignore', 'pipe', 'pipe'] });
  let text = '';
  let ready = false;
  tcpdump.stdout?.on('data', (data) => {
    text += data;
  });
  tcpdump.stderr?.on('data', (data) => {
    ready ||= String(data).includes('listening');
  });
  await until(() => ready, 60_000);
  await act();
  await sleep(500);
  tcpdump.kill();
  return text;
}

const count = (text: string, part: string | RegExp) => text.split(part).length - 1;

lab(t, 'another host that has an address is found by its Ethernet address', async (t) => {
  await withOther(async (kernel, other) => {
    other.sh('ip addr add 192.0.2.100/24 dev eth1; ip addr add 2001:db8::100/64 dev eth1 nodad');
    for (const address of ['192.0.2.100', '2001:db8::100']) {
      t.equal(await kernel.whoHas(address, 'eth0'), mac, address);
    }
    // Once more when eth0 has a link-local address that is no longer tentative to ask from.
    await until(() => kernel.addresses().every(({ tentative }) => !tentative), 60_000);
    t.equal(await kernel.whoHas('2001:db8::100', 'eth0'), mac, 'asked from a link-local address');
  });
});

lab(t, 'an address that nobody has is asked for three times', async (t) => {
  await withOther(async (kernel, other) => {
    for (const [address, filter, question] of [
      ['192.0.2.100', 'arp', 'who-has 192.0.2.100 tell 0.0.0.0'],
      ['2001:db8::100', 'icmp6 and ip6[40] == 135', 'who has 2001:db8::100'],
    ] as const) {
      const text = await captured(other, filter, async () => {
        t.equal(await kernel.whoHas(address, 'eth0'), undefined, address);
      });
      t.equal(count(text, question), 3, question);
      t.notMatch(text, /bad|incorrect/);
    }
  });
});

lab(t, 'asking holds up nothing else', async (t) => {
  await withOther(async (kernel) => {
    let turns = 0;
    const timer = setInterval(() => {
      turns += 1;
    }, 10);
    await Promise.all(['192.0.2.100', '192.0.2.101', '2001:db8::100'].map((a) => kernel.whoHas(a, 'eth0')));
    clearInterval(timer);
    t.ok(turns > 10);
  });
});

lab(t, 'we do not answer ourselves', async (t) => {
  await withOther(async (kernel, other) => {
    sh('ip addr add 192.0.2.100/24 dev eth0; ip addr add 2001:db8::100/64 dev eth0 nodad');
    // A second card of ours on the same wire answers for both, as Linux does by default.
    other.sh('ip link add br0 type bridge; ip link set br0 up; ip link set eth1 master br0');
    t.equal(await kernel.whoHas('192.0.2.100', 'eth0'), undefined);
    t.equal(await kernel.whoHas('2001:db8::100', 'eth0'), undefined);
  });
});

lab(t, 'where nobody speaks ARP nobody is asked, and where the interface is down or missing it says so', async (t) => {
  await withOther(async (kernel) => {
    sh('ip link add dummy0 type dummy; ip link set dummy0 up');
    t.equal(await kernel.whoHas('192.0.2.100', 'lo'), undefined);
    t.equal(await kernel.whoHas('192.0.2.100', 'dummy0'), undefined);
    await t.rejects(kernel.whoHas('192.0.2.100', 'eth9'), { code: 'ENODEV', message: /there is no interface eth9/ });
    sh('ip link set eth0 down');
    await t.rejects(kernel.whoHas('192.0.2.100', 'eth0'), { code: 'ENETDOWN', message: /eth0 is down/ });
    const announce: Step = { op: 'announce', address: '192.0.2.100', interface: 'eth0' };
    t.match(await kernel.apply([announce, { ...announce, interface: 'lo' }]), [{ step: announce, code: 'ENETDOWN' }]);
  });
});

lab(t, 'an announcement changes what another host remembers', async (t) => {
  await withOther(async (kernel, other) => {
    other.sh('ip addr add 192.0.2.2/24 dev eth1; ip addr add 2001:db8::2/64 dev eth1 nodad');
    const old = '02:00:00:00:00:ee';
    other.sh(`ip neigh replace 192.0.2.100 lladdr ${old} dev eth1 nud stale
              ip neigh replace 2001:db8::100 lladdr ${old} dev eth1 nud stale`);
    const text = await captured(other, 'arp or icmp6', async () => {
      t.strictSame(
        await kernel.apply([
          { op: 'announce', address: '192.0.2.100', interface: 'eth0' },
          { op: 'announce', address: '2001:db8::100', interface: 'eth0' },
        ]),
        [],
      );
    });
    t.equal(
      count(text, 'who-has 192.0.2.100 (ff:ff:ff:ff:ff:ff) tell 192.0.2.100') +
        count(text, 'who-has 192.0.2.100 tell 192.0.2.100'),
      3,
      'requests',
    );
    t.equal(count(text, 'Reply 192.0.2.100 is-at'), 3, 'replies');
    t.equal(count(text, 'tgt is 2001:db8::100, Flags [override]'), 3, 'advertisements');
    t.notMatch(text, /bad|incorrect/);
    const ours = kernel.links().find(({ name }) => name === 'eth0')?.mac;
    const remembered = other.sh('ip neigh');
    t.match(remembered, new RegExp(`192.0.2.100 dev eth1 lladdr ${ours}`));
    t.match(remembered, new RegExp(`2001:db8::100 dev eth1 lladdr ${ours}`));
  });
});

lab(t, 'all that answer for any of several addresses are found, each once, and nobody else', async (t) => {
  await withOther(async (kernel, other) => {
    other.sh('ip addr add 192.0.2.100/24 dev eth1; ip addr add 2001:db8::100/64 dev eth1 nodad');
    const asked = ['192.0.2.100', '192.0.2.101', '2001:db8::100', '2001:db8::101'];
    t.strictSame(await kernel.whoClaims(asked, 'eth0'), [
      { address: '192.0.2.100', mac },
      { address: '2001:db8::100', mac },
    ]);
    t.strictSame(await kernel.whoClaims(['192.0.2.1'], 'eth0'), [], 'its own are not claims');
    t.strictSame(await kernel.whoClaims([], 'eth0'), []);
    t.strictSame(await kernel.whoClaims(asked, 'lo'), [], 'nobody speaks ARP there');
    await t.rejects(kernel.whoClaims(asked, 'eth9'), { code: 'ENODEV' });
  });
});
