import t from 'tap';
import { alarmsOf } from '../../../src/web/parts/alarm-list.ts';
import { statusOf } from '../status.ts';

const bottleneck = { host: 'rs1', direction: 'tx' as const, loadPercent: 95.94, full: true };

t.test('nothing is said while all is well', async (t) => {
  t.strictSame(alarmsOf(statusOf({ realServers: { rs1: {} }, bottleneck: { ...bottleneck, full: false } })), []);
});

t.test('each alarm says who, what is wrong and what to do', async (t) => {
  const status = statusOf({
    realServers: { rs1: {}, rs2: { serving: false, unwell: 'no answer within 500 ms' } },
    bottleneck,
    problems: ['cannot read the IPVS table'],
  });
  t.strictSame(alarmsOf(status), [
    { subject: 'controller', text: 'cannot read the IPVS table' },
    { subject: 'rs1', text: 'its card is full, sending: give it less weight, or add a real server' },
    { subject: 'rs2', text: 'no answer within 500 ms' },
  ]);
  const full = (direction: 'rx' | 'tx') =>
    alarmsOf({
      ...status,
      traffic: { ...status.traffic, bottleneck: { ...bottleneck, host: 'director', direction } },
    })[1]?.text;
  t.match(full('rx'), /receiving: .*faster card/);
  t.match(full('tx'), /sending: .*faster card.*director/);
});

t.test('with several pools it says in which', async (t) => {
  const status = statusOf({ realServers: { rs1: { unwell: 'no answer' } } });
  const web = status.pools.web;
  t.ok(web);
  if (web) t.equal(alarmsOf({ ...status, pools: { web, mail: web } })[0]?.subject, 'rs1 in web');
});
