// What keepalived and ldirectord are told, so that they do what the controller does.
import { join } from 'node:path';

export interface Service {
  vip: string;
  ports: readonly number[];
  realServers: readonly { ip: string; weight: number }[];
  check: { intervalMs: number; timeoutMs: number; fall: number /** Without one: a TCP connection. */; path?: string };
}

export function keepalivedConfig({ vip, ports, realServers, check }: Service): string {
  const { path, fall } = check;
  const [delay, limit] = [check.intervalMs, check.timeoutMs].map((ms) => ms / 1000);
  const server = (port: number) => (rs: Service['realServers'][number]) =>
    `  real_server ${rs.ip} ${port} {
    weight ${rs.weight}
    ${path ? 'HTTP_GET' : 'TCP_CHECK'} {
${path ? `      url {\n        path ${path}\n        status_code 200\n      }\n` : ''}      connect_timeout ${limit}
      retry ${fall - 1}
      delay_before_retry ${delay}
    }
  }`;
  const service = (port: number) => `virtual_server ${vip} ${port} {
  delay_loop ${delay}
  lb_algo wlc
  lb_kind DR
  protocol TCP
  inhibit_on_failure
${realServers.map(server(port)).join('\n')}
}`;
  return `global_defs {\n  checker_log_all_failures true\n}\n${ports.map(service).join('\n')}\n`;
}

/** Its files of pids go to `dir`; `…/keepalived-pid` has the one to send signals to. */
export const keepalivedArgv = (config: string, dir: string): string[] => [
  ...['keepalived', '--dont-fork', '--log-console', '--check', '--use-file', config],
  ...['pid', 'checkers_pid'].map((name) => `--${name}=${join(dir, `keepalived-${name}`)}`),
];

/** Whole seconds are all it knows. */
export function ldirectordConfig({ vip, ports, realServers, check }: Service): string {
  const seconds = (ms: number) => Math.max(1, Math.ceil(ms / 1000));
  const { path } = check;
  const how = path
    ? `service=http\n\trequest="${path.slice(1)}"\n\treceive="ok"\n\tchecktype=negotiate`
    : 'checktype=connect';
  const service = (port: number) => `virtual=${vip}:${port}
${realServers.map(({ ip, weight }) => `\treal=${ip}:${port} gate ${weight}`).join('\n')}
\t${how}
\tscheduler=wlc
\tprotocol=tcp`;
  return `checkinterval=${seconds(check.intervalMs)}
checktimeout=${seconds(check.timeoutMs)}
negotiatetimeout=${seconds(check.timeoutMs)}
failurecount=${check.fall}
quiescent=yes
fork=yes
${ports.map(service).join('\n\n')}
`;
}

export const ldirectordArgv = (config: string): string[] => ['/usr/sbin/ldirectord', '-d', config, 'start'];
