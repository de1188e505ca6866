import { existsSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { networkInterfaces } from 'node:os';
import { join } from 'node:path';
import t from 'tap';
import { controllerAddresses, machineId, nameServers, refuseOnDirector } from '../../agents/identity.ts';
import { folder } from '../api/site.ts';

t.test('the address of a controller is read from its URL or looked up; none while its name is not known', async (t) => {
  t.strictSame(await controllerAddresses('http://192.0.2.1:7100'), ['192.0.2.1']);
  t.strictSame(await controllerAddresses('https://[2001:DB8::0001]:7100/x'), ['2001:db8::1']);
  const local = await controllerAddresses('http://localhost:7100');
  t.ok(local.length > 0 && local.every((address) => ['127.0.0.1', '::1'].includes(address)), String(local));
  t.strictSame(await controllerAddresses('http://no-such-host.invalid:7100'), []);
});

t.test('an agent is refused where the controller has an address of this host, and only there', async (t) => {
  const own = Object.values(networkInterfaces()).flatMap((list) => list?.map(({ address }) => address) ?? []);
  for (const address of ['127.0.0.1', '127.0.0.5', '::1', ...own]) {
    const remedy = new RegExp(`${address} is this host's own: this is the director.*LocalNode.*correct "controller"`);
    t.throws(() => refuseOnDirector([address]), { code: 'ON_DIRECTOR', exitCode: 2, message: remedy }, address);
  }
  t.throws(() => refuseOnDirector(['192.0.2.1', '127.0.0.1']), { code: 'ON_DIRECTOR' }, 'one of several is enough');
  for (const addresses of [['192.0.2.1', '2001:db8::1'], []]) t.doesNotThrow(() => refuseOnDirector(addresses));
});

t.test('the machine id is that of the machine, or one that is made once and kept', async (t) => {
  const dir = join(folder(t), 'new');
  const id = machineId(dir);
  t.match(id, /^[0-9a-f]{32}$/);
  t.equal(machineId(dir), id);
  const theirs = existsSync('/etc/machine-id') ? readFileSync('/etc/machine-id', 'utf8').trim() : '';
  if (theirs) t.equal(id, theirs);
  else {
    t.equal(readFileSync(join(dir, 'machine-id'), 'utf8'), `${id}\n`);
    t.equal(statSync(join(dir, 'machine-id')).mode & 0o777, 0o600);
    t.not(machineId(join(folder(t), 'other')), id);
  }
});

t.test('the name servers behind systemd-resolved count too', async (t) => {
  const file = join(folder(t), 'resolv.conf');
  writeFileSync(file, '# of DHCP\nnameserver 192.0.2.53\nnameserver 2001:DB8::53%eth0\nsearch example.com\n');
  t.strictSame(nameServers(file).slice(-2), ['192.0.2.53', '2001:db8::53']);
  t.ok(nameServers('/nonexistent').length >= 0);
});
