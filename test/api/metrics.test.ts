import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { isDeepStrictEqual } from 'node:util';
import { execa } from 'execa';
import t from 'tap';
import { down } from '../health.ts';
import { root } from './run.ts';
import { type Controller, startController, vip, webPool } from './site.ts';

const infra = join(root, 'infra/monitoring');
const scrape = async (c: Controller): Promise<string> => (await c.call('GET', '/metrics')).body;
/** Value of a metric with these labels, as the text has them. */
const value = (text: string, metric: string) =>
  Number(text.split('\n').find((line) => line.startsWith(`${metric} `))?.slice(metric.length + 1)); // biome-ignore format: short

async function site(t: Parameters<typeof startController>[0]): Promise<Controller> {
  const c = await startController(t);
  c.health.judge = ({ address }) =>
    address === '192.0.2.12' ? down : { verdict: 'up', hard: false, words: 'answered' };
  c.attest('rs1', '192.0.2.11', [vip]);
  c.attest('rs2', '192.0.2.12', [vip]);
  for (const at of [0, 1000])
    c.traffic.take('rs1', {
      card: {
        interface: 'eth0',
        mac: '02:00:00:00:00:11',
        speedMbit: 100,
        rxBytes: 10,
        txBytes: 20,
        rxPackets: 1,
        txPackets: 2,
        rxLost: 3,
        txLost: 4,
        at,
      },
    });
  await c.call('PUT', '/v1/pools/web?waitMs=5000', webPool());
  return c;
}

t.test('the figures are in the text format that Prometheus reads, by its conventions', async (t) => {
  const c = await site(t);
  const answer = await c.call('GET', '/metrics');
  t.match(answer.headers['content-type'], /^text\/plain; version=0\.0\.4/);
  const { exitCode, all } = await execa('promtool', ['check', 'metrics'], {
    input: answer.body,
    all: true,
    reject: false,
  });
  t.equal(exitCode, 0, all);
});

t.test('they say what the kernel, the checks and the agents say', async (t) => {
  const c = await site(t);
  await c.when(() =>
    isDeepStrictEqual(
      c.director
        .last()
        ?.look.services.get(`${vip}:80/tcp`)
        ?.destinations.map(({ weight }) => weight),
      [100, 0],
    ),
  );
  const text = await scrape(c);
  const at = (name: string) => `{pool="web",port="80/tcp",real_server="${name}"}`;
  for (const [metric, expected] of Object.entries({
    'dsr_pool_real_servers{pool="web"}': 2,
    'dsr_pool_serving_real_servers{pool="web"}': 1,
    'dsr_pool_missing{pool="web"}': 0,
    [`dsr_real_server_weight${at('rs1')}`]: 100,
    [`dsr_real_server_weight${at('rs2')}`]: 0,
    [`dsr_probe_up${at('rs1')}`]: 1,
    [`dsr_probe_up${at('rs2')}`]: 0,
    [`dsr_destination_active_connections${at('rs1')}`]: 0,
    [`dsr_vip_claimants{vip="${vip}"}`]: 0,
    'dsr_card_transmit_bytes_total{host="rs1",device="eth0"}': 20,
    'dsr_card_lost_packets_total{host="rs1",device="eth0"}': 7,
    'dsr_card_speed_bytes{host="rs1",device="eth0"}': 12_500_000,
    'dsr_pool_capacity_bytes{pool="web"}': 12_500_000,
    'dsr_pool_capacity_without_largest_bytes{pool="web"}': 0,
    'dsr_pool_carried_bytes{pool="web"}': 0,
    dsr_stored_revision: c.state.get().revision,
    dsr_up: 1,
    dsr_prober_up: 1,
  }))
    t.equal(value(text, metric), expected, metric);
  t.ok(value(text, 'dsr_events_total{type="agent-joined"}') === 2);
  t.ok(value(text, 'dsr_reconcile_steps_total') > 0);
  t.ok(value(text, 'process_resident_memory_bytes') > 1e6);
});

t.test('what is gone from the pools is gone from the figures', async (t) => {
  const c = await site(t);
  await c.call('DELETE', '/v1/pools/web?waitMs=5000');
  t.notMatch(await scrape(c), /pool="web"/);
});

t.test('alert rules and the Grafana dashboard ask for figures that there are', async (t) => {
  const c = await site(t);
  const text = await scrape(c);
  const known = new Set([...text.matchAll(/^# TYPE (\S+) /gm)].map(([, name]) => name));
  for (const file of ['dsr.rules.yml', 'grafana.json']) {
    const asked = new Set(readFileSync(join(infra, file), 'utf8').match(/\b(dsr|process)_[a-z_]+/g));
    t.ok(asked.size > 5, file);
    for (const name of asked) t.ok(known.has(name), `${file}: ${name}`);
  }
});

t.test('the alert rules fire for what they are for', async (t) => {
  const run = async (...argv: string[]) => execa('promtool', argv, { cwd: infra, all: true, reject: false });
  for (const argv of [
    ['check', 'rules', 'dsr.rules.yml'],
    ['test', 'rules', 'dsr.rules.test.yml'],
  ]) {
    // biome-ignore format: a table
    const { exitCode, all } = await run(...argv);
    t.equal(exitCode, 0, all);
  }
});
