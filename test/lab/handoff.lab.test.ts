import t from 'tap';
import { makeFrontSite } from './handoff-site.ts';
import { ipvs } from './kernel.ts';
import { scenarioNames } from './url-scenarios.ts';

const site = await makeFrontSite(t);
const { director, rs1, rs2 } = site;

t.test('the service sends new connections to the director itself', async (t) => {
  t.same(await ipvs(director), [
    '-A -t 192.0.2.100:80 -s wlc',
    `-a -t 192.0.2.100:80 -r 192.0.2.100:80 -g -w 1`,
    `-a -t 192.0.2.100:80 -r ${rs1.ip}:80 -g -w 0`,
    `-a -t 192.0.2.100:80 -r ${rs2.ip}:80 -g -w 0`,
  ]);
});

t.test('whatever a client does, it gets all that it asked for', async (t) => {
  const before = await site.resets(director);
  const results = await site.scenarios(1, 4);
  t.equal(results.length, scenarioNames.length);
  t.same(
    results.filter(({ problem }) => problem !== undefined),
    [],
  );
  t.equal((await site.resets(director)) - before, 0, 'the director reset nobody');
  t.comment((await site.frontLog()).split('\n').slice(-30).join('\n'));
  const { stdout } = await director.exec(['ipvsadm', '-Lnc']);
  t.comment(String(stdout));
});
