import t from 'tap';
import { openKernel } from '../../../src/kernel/open.ts';
import { lab, sh, wiredHost } from '../lab.ts';

lab(t, 'offloads of a card are as ethtool says, before and after they are switched', async (t) => {
  const kernel = openKernel({ ipvs: false });
  const host = wiredHost('eth0', 'peer0');
  const said = (word: string) => new RegExp(`^${word}: on`, 'm').test(sh('ethtool -k eth0'));
  for (const state of ['on', 'off', 'on']) {
    sh(`ethtool -K eth0 gro ${state}`);
    t.strictSame(kernel.vitals.offload('eth0'), {
      gro: state === 'on',
      lro: said('large-receive-offload'),
    });
    t.equal(said('generic-receive-offload'), state === 'on');
  }
  t.equal(kernel.vitals.offload('eth9'), undefined);
  t.strictSame(kernel.vitals.managers('eth9'), []);
  host.close();
  kernel.close();
});
