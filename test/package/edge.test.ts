import { existsSync } from 'node:fs';
import { cp } from 'node:fs/promises';
import { join } from 'node:path';
import t from 'tap';
import { root } from '../api/run.ts';
import { bootMachine, noMachine } from './machine.ts';

t.setTimeout(600_000);
const skip = noMachine || (!existsSync('/lib/systemd/system/nginx.service') && 'nginx has no unit here');
const vip = '198.51.100.1';
const edge = JSON.stringify({
  '80/tcp': {
    origin: '192.0.2.10:8080',
    rules: [{ match: { methods: ['GET', 'HEAD'], extensions: ['jpg'] }, to: 'real-servers' }],
    otherwise: 'director',
  },
});

t.test(
  'within the limits of its unit the agent has nginx try, take and read its configuration',
  { skip },
  async (t) => {
    const { run, share } = await bootMachine(t);
    await cp(join(root, 'infra/systemd/dsr-agent.service'), join(share, 'dsr-agent.service'));
    await cp(join(import.meta.dirname, 'director.mjs'), join(share, 'director.mjs'));
    const waitFor = (condition: string) =>
      `for i in $(seq 600); do ${condition} && break; sleep 0.1; done; ${condition} || { journalctl -u dsr-agent -u nginx -o cat | tail -30; cat /var/lib/dsr/edge.conf; exit 1; }`;
    await run(`
    mkdir -p /usr/lib/dsr-controller /etc/dsr /srv/images /etc/systemd/system/dsr-agent.service.d
    ln -s ${root}/dist /usr/lib/dsr-controller/dist
    cp /share/dsr-agent.service /etc/systemd/system/
    # The programs of a clone may lie in a home folder.
    printf '[Service]\\nProtectHome=read-only\\n' >/etc/systemd/system/dsr-agent.service.d/clone.conf
    ip netns add director
    ip link add eth0 type veth peer name eth0 netns director
    ip addr add 192.0.2.11/24 dev eth0; ip link set eth0 up
    ip -n director addr add 192.0.2.10/24 dev eth0; ip -n director link set eth0 up; ip -n director link set lo up
    hostname rs1
    echo image >/srv/images/a.jpg
    cat >/run/systemd/system/director.service <<'END'
[Service]
ExecStart=ip netns exec director node /share/director.mjs 192.0.2.10 rs1 /share/log ${vip} '${edge}'
END
    cat >/run/systemd/system/web.service <<'END'
[Service]
ExecStart=ip netns exec director node -e 'require("http").createServer((q, a) => a.end("by the director")).listen(8080)'
END
    # As the README says.
    echo 'include /var/lib/dsr/edge*.conf;' >/etc/nginx/conf.d/dsr.conf
    echo '{"controller":"http://192.0.2.10:7100","insecure":true,"edge":{"root":"/srv/images"}}' >/etc/dsr/agent.json
    systemctl daemon-reload; systemctl start director web nginx dsr-agent`);
    await run(waitFor(`[ "$(curl -s http://${vip}/a.jpg)" = image ]`));
    t.equal(await run(`curl -sf http://${vip}/x.php`), 'by the director');
    t.equal(await run('stat -c %a /var/lib/dsr/edge.conf'), '600');
    await run(`
    echo nonsense >/etc/nginx/conf.d/broken.conf
    systemctl stop director; rm /var/lib/dsr/edge.conf; systemctl restart dsr-agent`);
    await run(
      waitFor("grep -q 'nginx does not take the new configuration.*broken.conf' < <(journalctl -u dsr-agent -o cat)"),
    );
    t.equal(await run(`curl -sf http://${vip}/a.jpg`), 'image', 'nginx goes on as it was');
  },
);
