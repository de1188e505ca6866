import t, { type Test } from 'tap';
import { readManagers } from '../../../src/kernel/doctor/managers.ts';

type Files = Parameters<Test['testdir']>[0];
const managers = (t: Test, files: Files, name = 'eth0') => readManagers(name, 2, t.testdir(files));

const link = (state: string) => ({ systemd: { netif: { links: { 2: state } } } });
const file = '/run/systemd/network/10-lan.network';
const configured = `# This is private data. Do not parse.\nADMIN_STATE=configured\nOPER_STATE=routable\nNETWORK_FILE=${file}\n`;

t.test('without a manager there is none', async (t) => {
  t.strictSame(managers(t, {}), []);
});

t.test('systemd-networkd looks after links that it has configured', async (t) => {
  const of = (state: string) => managers(t, { run: link(state) });
  t.strictSame(of(configured), [{ name: 'systemd-networkd', interface: 'eth0', keeps: false }]);
  t.match(of('ADMIN_STATE=configuring\n'), [{ name: 'systemd-networkd' }]);
  t.strictSame(of('ADMIN_STATE=unmanaged\nOPER_STATE=carrier\n'), []);
});

t.test('systemd-networkd keeps foreign addresses when its file or a drop-in says so', async (t) => {
  const keeps = (text: string, dropIn = '', folder = 'etc') => {
    const network = { '10-lan.network.d': { 'dsr.conf': dropIn, README: 'KeepConfiguration=yes' } };
    const run = {
      systemd: { ...link(configured).systemd, network: { '10-lan.network': text, ...(folder === 'run' && network) } },
    };
    const usr = { lib: { systemd: { network: folder === 'usr' ? network : {} } } };
    return managers(t, { run, usr, etc: { systemd: { network: folder === 'etc' ? network : {} } } })[0]?.keeps;
  };
  for (const value of ['yes', 'true', 'static', '1', 'on', ' static '])
    t.equal(keeps(`[Network]\nKeepConfiguration=${value}\n`), true, value);
  for (const value of ['no', 'dhcp', 'dhcp-on-stop', 'dynamic', ''])
    t.equal(keeps(`[Network]\nKeepConfiguration=${value}\n`), false, value);
  t.equal(keeps('#KeepConfiguration=yes\n'), false);
  for (const folder of ['etc', 'run', 'usr'])
    t.equal(keeps('', '[Network]\nKeepConfiguration=static\n', folder), true, folder);
});

t.test('NetworkManager looks after devices that it manages with a profile', async (t) => {
  const of = (state: string) => managers(t, { run: { NetworkManager: { devices: { 2: state } } } });
  t.strictSame(of('[device]\nmanaged=true\nconnection-uuid=8b1e\n'), [
    { name: 'NetworkManager', interface: 'eth0', keeps: false },
  ]);
  t.strictSame(of('[device]\nmanaged=false\nconnection-uuid=8b1e\n'), []);
  t.strictSame(of('[device]\nmanaged=true\n'), []);
});

t.test('ifupdown looks after what it brought up, and leaves lo alone', async (t) => {
  const of = (name: string) => managers(t, { run: { network: { ifstate: 'lo=lo\neth0=eth0\n' } } }, name);
  t.strictSame(of('eth0'), [{ name: 'ifupdown', interface: 'eth0', keeps: false }]);
  t.strictSame(of('lo'), [{ name: 'ifupdown', interface: 'lo', keeps: true }]);
  t.strictSame(of('eth1'), []);
});
