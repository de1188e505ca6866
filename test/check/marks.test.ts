import fc from 'fast-check';
import t from 'tap';
import { createMarks } from '../../src/check/marks.ts';
import { holds } from '../property.ts';

holds(
  t,
  'a server has a mark of its own as long as it has targets; marks are reused, and no table of the system’s',
  fc.property(fc.array(fc.tuple(fc.boolean(), fc.integer({ min: 0, max: 5 }))), (history) => {
    const marks = createMarks();
    const targets = new Map<string, number>();
    let most = 0;
    for (const [take, number] of history) {
      const address = `192.0.2.${number}`;
      const before = targets.get(address) ?? 0;
      if (!take && before === 0) continue;
      const after = before + (take ? 1 : -1);
      targets.set(address, after);
      const route = take ? marks.take(address) : marks.release(address);
      t.equal(route !== undefined, before === 0 || after === 0);
      const used = [...targets].filter(([, count]) => count > 0).map(([one]) => marks.of(one) ?? 0);
      most = Math.max(most, used.length);
      t.equal(new Set(used).size, used.length);
      t.ok(used.every((mark) => mark > 255 && mark < 1000 + most));
      t.equal(marks.of(address) !== undefined, after > 0);
    }
  }),
);
