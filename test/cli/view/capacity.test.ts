import t from 'tap';
import type { Capacity, Status } from '../../../src/cli/view/answers.ts';
import { capacityLines, capacityTable, planLines, planOf, type Wanted } from '../../../src/cli/view/capacity.ts';
import { type Line, spansOf, textOf } from '../../../src/cli/view/text.ts';
import { parseMbit } from '../../../src/cli/view/units.ts';

const texts = (lines: readonly Line[]) => lines.map(textOf);
const pool = (cards: Capacity['cards'], balance = 'headroom') => ({
  name: 'web',
  capacity: { cards, words: '' },
  balance,
});
const wanted = (more: Partial<Wanted>): Wanted => ({
  peakMbit: 250,
  cardMbit: undefined,
  pool: undefined,
  requestShare: null,
  ...more,
});
const lines = (more: Partial<Wanted>) => {
  const plan = planOf(wanted(more));
  return plan ? texts(planLines(plan, wanted(more))) : undefined;
};

t.test('what a load takes, of whom it is asked, and behind a proxy', async (t) => {
  t.strictSame(lines({ pool: pool({ rs1: 100, rs2: 100, rs3: 100 }), requestShare: 0.02 }), [
    '250 Mbit/s of replies at the peak, no card filled to more than 80 %',
    '  with this director   4 real servers with a card of 100 Mbit/s; 5, so that one may fail',
    '                       its own card carries the requests alone: about 5 Mbit/s, as clients ask now',
    "  behind a proxy       those 4 real servers, and every reply leaves by the proxy's card too:",
    '                       one of at least 313 Mbit/s, such as 1 Gbit/s, or 4 proxies with a card of 100 Mbit/s each',
    '  web                  has 3 real servers in service with 300 Mbit/s together: 1 more; 2 more, so that one may fail',
  ]);
});

t.test('without a pool the card is given, with one it is as most of its cards', async (t) => {
  t.equal(lines({}), undefined);
  t.equal(lines({ pool: pool({ rs1: null }) }), undefined);
  t.match(lines({ cardMbit: 2500, peakMbit: 1000 }), [
    /^1 Gbit\/s/,
    /1 real server with a card of 2\.5 Gbit\/s; 2,/,
    /that real server,/,
    /one of at least 1\.25 Gbit\/s, such as 2\.5 Gbit\/s, or 1 proxy with/,
  ]);
  t.match(lines({ cardMbit: 100, peakMbit: 1e6 })?.at(-1), /one of at least 1250 Gbit\/s, or 12500 proxies/);
  const mixed = planOf(wanted({ pool: pool({ rs1: 100, rs2: 1000, rs3: 100, rs4: 0 }) }));
  t.equal(mixed?.cardMbit, 100);
  t.equal(planOf(wanted({ pool: pool({ rs1: 100, rs2: 1000 }) }))?.cardMbit, 1000, 'of as many the faster');
});

t.test('it says when there is enough, and what it does not know', async (t) => {
  const last = (more: Partial<Wanted>) => lines(more)?.at(-1);
  const four = { rs1: 100, rs2: 100, rs3: 100, rs4: 100 };
  t.match(last({ pool: pool(four) }), /: enough while none fails; 1 more, so that one may fail$/);
  t.match(last({ pool: pool({ ...four, rs5: 100 }) }), /: enough, also when one fails$/);
  t.match(last({ pool: pool({ ...four, rs5: null }) }), /web +the speed of some of its cards is not known/);
  t.match(
    last({ pool: pool({ rs1: 100, rs2: 20 }, 'weights') }),
    /its cards differ: this holds with weights in the ratio/,
  );
  const halves = pool({ rs1: 100, rs2: 100 }, 'weights');
  const uneven = { ...halves, capacity: { ...halves.capacity, capacityMbit: 150 } };
  const withUneven = (peakMbit: number) => lines({ pool: uneven, peakMbit })?.slice(-3);
  t.match(withUneven(150), [
    /together: evenly filled, enough while none fails/,
    /with the present weights the first card is full at 150 Mbit\/s: too little;/,
    /evenly with weights in the ratio of the cards' speeds/,
  ]);
  t.match(withUneven(100)?.[1], /full at 150 Mbit\/s: enough while none fails;/);
  t.match(last({ pool: pool({ rs1: 100, rs2: 100 }, 'weights') }), /2 real servers in service/);
});

t.test('all pools in a table, one in words', async (t) => {
  const of = (more: object = {}) => ({
    vip: '192.0.2.100',
    well: true,
    serving: 3,
    realServers: 3,
    capacity: {
      carriedMbit: 102,
      capacityMbit: 300,
      fullPercent: 34,
      first: 'rs1',
      peakPercent: 85.2,
      fullInDays: 1,
      withoutLargestPeakPercent: 128,
      ...more,
    },
  });
  const { capacity: _, ...older } = of();
  const none = of({
    capacityMbit: null,
    fullPercent: null,
    first: null,
    peakPercent: null,
    fullInDays: null,
    withoutLargestPeakPercent: null,
  });
  const pools: Status['pools'] = { web: of(), img: none, old: older };
  const shown = capacityTable(pools);
  t.strictSame(texts(shown), [
    'POOL  OUT Mbit/s  OF Mbit/s  FULL  PEAK  WITHOUT LARGEST  FULL FIRST  FULL IN',
    'web          102        300  34 %  85 %            128 %  rs1         1 day',
    'img          102          ?     ?     ?                ?  -           -',
    'old            ?          ?     ?     ?                ?  ?           ?',
  ]);
  const styles = shown.flatMap(spansOf).filter((span) => typeof span !== 'string' && span.style !== 'bold');
  t.match(styles, [
    { text: '85 %', style: 'yellow' },
    { text: '128 %', style: 'red' },
  ]);
  t.strictSame(texts(capacityTable({})), ['no pool yet']);
  t.strictSame(texts(capacityLines('web', { cards: {}, words: 'this; and that' })), ['web', '  this', '  and that']);
});

t.test('a speed is read as people write it', async (t) => {
  for (const [text, mbit] of [
    ['250mbit', 250],
    ['1.2gbit', 1200],
    ['500 kbit/s', 0.5],
    ['2.5Gbit/s', 2500],
    ['100Mbps', undefined],
    ['100mbitps', 100],
    ['1tbit', 1e6],
    ['250', undefined],
    ['250mb', undefined],
    ['-1mbit', undefined],
    ['', undefined],
  ] as const)
    t.equal(parseMbit(text), mbit, text);
});
