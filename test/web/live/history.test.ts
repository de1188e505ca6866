import fc from 'fast-check';
import t from 'tap';
import { emptyHistory, type History, keptSeconds, pathOf, peakOf, withFigures } from '../../../src/web/live/history.ts';
import { holds } from '../../property.ts';

const figures = (value: number | null) => ({
  replies: value,
  director: value,
  hosts: new Map(value === null ? [] : [['rs1', value]]),
});

t.test('the newest is at the end, seconds that were missed are gaps', async (t) => {
  let history = withFigures(emptyHistory, figures(1), 1000);
  history = withFigures(history, figures(2), 2004);
  t.strictSame(history.replies, [1, 2]);
  history = withFigures(history, figures(3), 5010);
  t.strictSame(history.replies, [1, 2, null, null, 3]);
  t.strictSame(history.hosts.get('rs1'), [1, 2, null, null, 3]);
  history = withFigures(history, figures(9), 5010 + 3_600_000);
  t.equal(history.replies.at(-1), 9);
  t.equal(peakOf(history.replies.slice(0, -1)), 0, 'an hour later nothing of before is left');
});

t.test('a host that is not heard of any more is forgotten in the end', async (t) => {
  let history = withFigures(emptyHistory, figures(1), 0);
  for (let i = 1; i <= keptSeconds; i++) history = withFigures(history, figures(null), i * 1000);
  t.equal(history.hosts.size, 0);
});

t.test('whatever comes', async (t) => {
  const steps = fc.array(
    fc.tuple(fc.option(fc.double({ min: 0, max: 1e4, noNaN: true }), { nil: null }), fc.nat(300_000)),
  );
  holds(
    t,
    'no line is longer than two minutes, and all are as long as another',
    fc.property(steps, (steps) => {
      let at = 0;
      const history = steps.reduce<History>((before, [value, wait]) => {
        at += wait;
        return withFigures(before, figures(value), at);
      }, emptyHistory);
      const { replies, director, hosts } = history;
      return (
        replies.length <= keptSeconds &&
        replies.length === director.length &&
        (hosts.get('rs1')?.length ?? 0) <= replies.length
      );
    }),
  );
  holds(
    t,
    'its path stays in its box',
    fc.property(
      fc.array(fc.option(fc.double({ min: 0, max: 500, noNaN: true }), { nil: null }), { maxLength: keptSeconds }),
      (line) =>
        [...pathOf(line, 400, 132, 26).matchAll(/[ML](-?[\d.]+) (-?[\d.]+)/g)].every(
          ([, x, y]) => Number(x) >= 0 && Number(x) <= 132 && Number(y) >= 0 && Number(y) <= 26,
        ),
    ),
  );
});

t.test('a gap is drawn as a gap', async (t) => {
  t.equal(pathOf([0, 100, null, 50], 100, 119, 10), 'M116.0 10.0L117.0 0.0M119.0 5.0');
  t.equal(pathOf([1, 1], 0, 119, 10), 'M118.0 10.0L119.0 10.0', 'nothing to compare with');
});
