import t from 'tap';
import { ipvsSysctls } from '../../src/core/ipvs-sysctls.ts';

t.test('each sysctl of IPVS that is set is named once, has a value, and says why', async (t) => {
  t.equal(new Set(ipvsSysctls.map(({ key }) => key)).size, ipvsSysctls.length);
  for (const { key, value, reason } of ipvsSysctls) {
    t.match(key, /^net\.ipv4\.vs\.[a-z_]+$/);
    t.match(value, /^\d+$/);
    t.match(reason, /.{20,}/, key);
  }
});
