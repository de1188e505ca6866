import t from 'tap';
import { changeWords } from '../../../src/web/pools/change-words.ts';
import { statusOf } from '../status.ts';

t.test('what is asked for is said before it is done', async (t) => {
  const { detail } = statusOf({ realServers: { rs1: { connections: 14 }, rs2: {} } });
  if (!detail) throw new Error('no detail');
  t.match(changeWords({ name: 'rs1', state: 'drain' }, detail), {
    title: 'Drain rs1?',
    text: /no new connections; its 14 connections may end/,
    warning: undefined,
    verb: 'Drain rs1',
  });
  t.match(changeWords({ name: 'rs2', state: 'maintenance' }, detail).text, /no connections now.*not probed/);
  t.match(changeWords({ name: 'rs2', state: 'active' }, detail).text, /as soon as its probe/);
});

t.test('the last one in service is not taken out without a warning', async (t) => {
  const { detail } = statusOf({ realServers: { rs1: {}, rs2: { serving: false } } });
  if (!detail) throw new Error('no detail');
  t.match(changeWords({ name: 'rs1', state: 'drain' }, detail).warning, /No other real server/);
  t.equal(changeWords({ name: 'rs2', state: 'drain' }, detail).warning, undefined);
  t.equal(changeWords({ name: 'rs1', state: 'active' }, detail).warning, undefined);
});
