import { cp } from 'node:fs/promises';
import { join } from 'node:path';
import t from 'tap';
import { root } from '../api/run.ts';
import { bootMachine, type Machine } from './machine.ts';

t.setTimeout(600_000);
const skip = process.env.DSR_LAB ? false : 'needs the kernel of the lab';

/** The director, with a real server beside it, whose agent is no unit. */
async function director(machine: Machine): Promise<void> {
  for (const unit of ['dsr-controller.service', 'dsr-front.service'])
    await cp(join(root, 'infra/systemd', unit), join(machine.share, unit));
  await machine.run(`
    mkdir -p /usr/lib/dsr-controller /etc/dsr /srv/images /etc/systemd/system/dsr-{controller,front}.service.d
    ln -s ${root}/dist /usr/lib/dsr-controller/dist
    cp /share/*.service /etc/systemd/system/
    # The programs of a clone may lie in a home folder.
    for unit in dsr-controller dsr-front; do
      printf '[Service]\\nProtectHome=read-only\\n' >/etc/systemd/system/$unit.service.d/clone.conf
    done
    ip netns add rs1
    ip link add eth0 type veth peer name eth0 netns rs1
    ip addr add 192.0.2.10/24 dev eth0; ip link set eth0 up
    ip -n rs1 addr add 192.0.2.11/24 dev eth0; ip -n rs1 link set eth0 up; ip -n rs1 link set lo up
    cat >/run/systemd/system/rs1.service <<END
[Service]
ExecStart=ip netns exec rs1 node ${root}/dist/agents/agent.js --name rs1 --controller http://192.0.2.10:7100 --insecure true --state-dir /var/lib/rs1 --handoff-root /srv/images
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

const asRoot = "curl -sf --unix-socket /run/dsr/controller.sock -H 'content-type: application/json'";

t.test('the front hands over within the limits of its unit', { skip }, async (t) => {
  const machine = await bootMachine(t);
  const { run } = machine;
  await director(machine);
  const waitFor = (condition: string) =>
    `for i in $(seq 300); do ${condition} && break; sleep 0.1; done; ${condition} || { journalctl -u dsr-front -u dsr-controller -u rs1 -o cat | grep -v "does not know an agent" | tail -40; ipvsadm -Ln; exit 1; }`;
  const handoff = JSON.stringify({
    vip: '192.0.2.100',
    ports: {
      '80/tcp': {
        policy: 'url',
        engine: 'handoff',
        rules: [{ match: { extensions: ['jpg'] }, to: 'real-servers' }],
        check: { type: 'tcp' },
      },
    },
    realServers: { rs1: { address: '192.0.2.11' } },
  });
  // The client has a cable to the director, for what it asks, and one to rs1, by which the answers come.
  await run(`
    echo 'image of rs1' >/srv/images/a.jpg
    ip netns add client
    ip link add eth1 type veth peer name c0 netns client
    ip -n rs1 link add eth1 type veth peer name c1 netns client
    ip addr add 203.0.113.1/24 dev eth1; ip link set eth1 up
    ip -n client addr add 203.0.113.7/24 dev c0; ip -n client link set c0 up; ip -n client link set c1 up
    ip -n client route add 192.0.2.100 dev c0; ip -n client route add 192.0.2.11 dev c1
    ip -n rs1 link set eth1 up; ip -n rs1 route add 203.0.113.7 dev eth1 src 192.0.2.11
    cat >/run/systemd/system/origin.service <<END
[Service]
ExecStart=node -e 'require("http").createServer((q, a) => a.end("by the director")).listen(8080, "127.0.0.1")'
END
    echo '{"link":"192.0.2.10:7101"}' >/etc/dsr/front.json
    # As an operator has it: TLS, tokens, and an agent that was invited.
    echo '{"interface":"eth0","listen":"192.0.2.10:7100"}' >/etc/dsr/controller.json
    mkdir /var/lib/rs1
    cat >/run/systemd/system/rs1.service <<END
[Service]
BindPaths=/var/lib/rs1:/var/lib/dsr
ExecStart=ip netns exec rs1 node ${root}/dist/agents/agent.js --config /var/lib/dsr/joined.json --handoff-root /srv/images
END
    systemctl daemon-reload; systemctl start dsr-controller origin
    ${asRoot} -X PUT -d '${handoff}' http://director/v1/pools/web
    invited=$(${asRoot} -X POST -d '{"agent":"rs1"}' http://director/v1/invitations)
    command=$(node -pe 'JSON.parse(process.argv[1]).command' "$invited")
    systemd-run --quiet --wait --pipe -p BindPaths=/var/lib/rs1:/var/lib/dsr ip netns exec rs1 \\
      node ${root}/dist/agents/agent.js \${command#* } --config /var/lib/dsr/joined.json
    systemctl start rs1`);
  await run(waitFor(`[[ $(${asRoot} http://director/v1/status) == *"dsr-front does not run"* ]]`));
  t.pass('that there is no front is told');
  await run('systemctl start dsr-front');
  const ask = (path: string) => run(`ip netns exec client curl -s --max-time 10 http://192.0.2.100/${path}`);
  await run(waitFor('[ "$(ip netns exec client curl -s --max-time 10 http://192.0.2.100/a.jpg)" = "image of rs1" ]'));
  t.equal(await ask('x.php'), 'by the director');
  await run(waitFor('[[ $(systemctl show -p StatusText --value dsr-front) =~ ^1\\ ports,\\ 1\\ agents\\;\\ [1-9] ]]'));
  t.match(await run('ipvsadm -L --daemon'), /backup sync daemon \(mcast=dsr-sync/);
  const pid = 'systemctl show -p MainPID --value dsr-front';
  t.match(await run(`grep CapEff /proc/$(${pid})/status`), /0{12}1400$/m, 'CAP_NET_BIND_SERVICE and CAP_NET_ADMIN');
  await run('systemctl restart dsr-front');
  await run(waitFor('[ "$(ip netns exec client curl -s --max-time 10 http://192.0.2.100/a.jpg)" = "image of rs1" ]'));
  await run('systemctl stop dsr-front');
  t.equal(await run('ipvsadm -L --daemon'), '', 'it takes its daemon with it');
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
