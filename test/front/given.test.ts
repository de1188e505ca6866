import t from 'tap';
import { createGiven } from '../../src/front/given.ts';

t.test('who has which connection, and how many', async (t) => {
  const given = createGiven();
  given.add('a', 'rs1');
  given.add('b', 'rs1');
  given.add('b', 'rs2');
  t.same([given.to('a'), given.to('b'), given.count('rs1'), given.count('rs2')], ['rs1', 'rs2', 1, 1]);
  given.remove('a');
  given.remove('a');
  t.same([given.to('a'), given.count('rs1')], [undefined, 0]);
  given.add('c', 'rs2');
  given.forget('rs2');
  t.same([given.to('b'), given.to('c'), given.count('rs2')], [undefined, undefined, 0]);
});
