import { cp } from 'node:fs/promises';
import { join } from 'node:path';
import t from 'tap';
import { root } from '../api/run.ts';
import { bootMachine, type Machine } from './machine.ts';

t.setTimeout(600_000);
const skip = process.env.DSR_LAB ? false : 'needs the kernel of the lab';

/** The director, with a real server beside it, whose agent is no unit. */
async function director(machine: Machine): Promise<void> {
  for (const unit of ['dsr-controller.service', 'dsr-agent.service'])
    await cp(join(root, 'infra/systemd', unit), join(machine.share, unit));
  await machine.run(`
    mkdir -p /usr/lib/dsr-controller /etc/dsr /etc/systemd/system/dsr-controller.service.d
    ln -s ${root}/dist /usr/lib/dsr-controller/dist
    cp /share/*.service /etc/systemd/system/
    # The programs of a clone may lie in a home folder.
    printf '[Service]\\nProtectHome=read-only\\n' >/etc/systemd/system/dsr-controller.service.d/clone.conf
    ip netns add rs1
    ip link add eth0 type veth peer name eth0 netns rs1
    ip addr add 192.0.2.10/24 dev eth0; ip link set eth0 up
    ip -n rs1 addr add 192.0.2.11/24 dev eth0; ip -n rs1 link set eth0 up; ip -n rs1 link set lo up
    cat >/run/systemd/system/rs1.service <<END
[Service]
ExecStart=ip netns exec rs1 node ${root}/dist/agents/agent.js --name rs1 --controller http://192.0.2.10:7100 --insecure true --state-dir /var/lib/rs1
END
    cat >/run/systemd/system/web.service <<END
[Service]
ExecStart=ip netns exec rs1 node -e 'for (const port of [80, 81]) require("http").createServer((q, a) => a.end("hello")).listen(port)'
END
    echo '{"interface":"eth0","listen":"192.0.2.10:7100","insecure":true,"programs":{"true":["/bin/true"]}}' >/etc/dsr/controller.json
    systemctl daemon-reload`);
}

const pool = JSON.stringify({
  vip: '192.0.2.100',
  ports: {
    '80/tcp': { policy: 'real-servers', scheduler: 'sed' },
    '81/tcp': { policy: 'real-servers', check: { type: 'exec', program: 'true' } },
  },
  realServers: { rs1: { address: '192.0.2.11' } },
});

t.test('the controller works within the limits of its unit', { skip }, async (t) => {
  const machine = await bootMachine(t);
  const { run } = machine;
  await director(machine);
  const waitFor = (condition: string) =>
    `for i in $(seq 1200); do ${condition} && break; sleep 0.1; done; ${condition} || { journalctl -u dsr-controller -u rs1 -o cat | tail -30; ipvsadm -Ln; exit 1; }`;

  await run('systemctl start dsr-controller || { journalctl -u dsr-controller -o cat | tail -30; exit 1; }');
  t.match(await run('systemctl status dsr-controller'), /Status: "0 pools, revision \d+"/, 'ready, with its status');
  t.equal(await run('stat -c %a /run/dsr /var/lib/dsr'), '700\n700');
  await run(
    `systemctl start rs1 web; curl -sf -X PUT -H 'content-type: application/json' -d '${pool}' 'http://192.0.2.10:7100/v1/pools/web?waitMs=10000'`,
  );
  // Its prober has a namespace and a link; ip_vs_sed was loaded by the kernel; a program was run.
  await run(waitFor('[ "$(ipvsadm -Ln | grep -c "192.0.2.11:8[01].*Route *100 ")" = 2 ]'));
  t.pass('both ports are checked and carry traffic');
  t.match(await run('ip addr show dev eth0'), '192.0.2.100/32');
  t.equal(await run('cat /proc/sys/net/ipv4/vs/expire_nodest_conn'), '1', 'sysctls below net can be written');

  const pid = 'systemctl show -p MainPID --value dsr-controller';
  const children = await run(
    `for pid in $(cat /sys/fs/cgroup/dsr-test-*/system.slice/dsr-controller.service/cgroup.procs /sys/fs/cgroup/system.slice/dsr-controller.service/cgroup.procs 2>/dev/null); do grep -h CapBnd /proc/$pid/status; done`,
  );
  t.strictSame(
    [...new Set(children.split('\n').map((line) => line.replace(/.*\s/, '')))].sort(),
    ['0000000000003000', '0000000000203100'],
    'the prober has lost CAP_SYS_ADMIN',
  );
  const sandbox = await run(`nsenter -m -t $(${pid}) bash -c '
    for path in /etc/x /usr/x /proc/sys/kernel/domainname /proc/sys/vm/swappiness; do test -w $path && echo "$path can be written"; done; true'`);
  t.equal(sandbox, '');

  const findings = await run('curl -sf http://192.0.2.10:7100/v1/doctor');
  t.notMatch(
    findings,
    /not permitted|denied|read-only|EROFS|EACCES|EPERM|cannot be (read|looked)/i,
    'the doctor sees all',
  );
  t.match(JSON.parse(findings), { findings: Array });

  const before = await run('ipvsadm -Ln; ip addr show dev eth0');
  await run('systemctl restart dsr-controller; sleep 5');
  t.equal(await run('ipvsadm -Ln; ip addr show dev eth0'), before, 'a restart touches nothing');
  await run('systemctl stop dsr-controller');
  t.match(await run('ipvsadm -Ln'), /192\.0\.2\.11:80 +Route +100 /, 'nor does a stop');
  t.match(await run('journalctl -u dsr-controller -o cat'), /^stopping; the kernel goes on forwarding/m);
});

t.test('a setting that is wrong and a kernel that lacks something are not tried again', { skip }, async (t) => {
  const machine = await bootMachine(t);
  const { run } = machine;
  await director(machine);
  await run(
    `echo '{"interface":"eth0","listen":"nowhere"}' >/etc/dsr/controller.json; systemctl start dsr-controller || true; for i in $(seq 600); do systemctl is-failed --quiet dsr-controller && break; sleep 0.1; done`,
  );
  t.match(
    await run('systemctl show -p NRestarts,ExecMainStatus,ActiveState dsr-controller'),
    /NRestarts=0\nExecMainStatus=2\nActiveState=failed/,
  );
  t.match(await run('journalctl -u dsr-controller -p err -o cat'), /listen/);
});
