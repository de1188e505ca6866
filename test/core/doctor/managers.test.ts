import t from 'tap';
import { type Manager, managerFinding } from '../../../src/core/doctor/managers.ts';

const of = (name: Manager['name'], on: string, keeps = false): Manager => ({ name, interface: on, keeps });

t.test('without a manager, or with one that keeps what is not its own, all is well', async (t) => {
  t.match(managerFinding([], 'eth0'), { level: 'ok', what: 'no network manager looks after eth0' });
  t.match(managerFinding([of('systemd-networkd', 'eth0', true), of('ifupdown', 'eth0', true)], 'eth0'), {
    level: 'ok',
    what: 'systemd-networkd, ifupdown keeps foreign addresses of eth0',
  });
});

t.test('a manager that removes the VIP is named, with what to write where', async (t) => {
  for (const [name, on, fix] of [
    ['systemd-networkd', 'eth0', /KeepConfiguration=static.*FILE\.network\.d\/dsr\.conf/],
    ['NetworkManager', 'lo', /unmanaged-devices=interface-name:lo.*conf\.d\/90-dsr\.conf\n.*nmcli general reload/],
    ['NetworkManager', 'eth0', /"manageVip": false[\s\S]*interface-name:eth0/],
    ['ifupdown', 'eth0', /ifdown eth0[\s\S]*dsrctl drain/],
  ] as const) {
    const finding = managerFinding([of('ifupdown', on, true), of(name, on)], on);
    t.match(finding, {
      level: 'warning',
      what: `${name} looks after ${on} and removes addresses that it did not add`,
      steps: undefined,
    });
    t.match(finding.fix.join('\n'), fix);
  }
});
