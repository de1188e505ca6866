import fc from 'fast-check';
import t from 'tap';
import { type Claim, type Claimant, claimWords, keyOf, nextClaimants } from '../../src/core/witness.ts';
import { holds } from '../property.ts';

const vip = '192.0.2.100';
const mac = '02:00:00:00:00:12';
const claim: Claim = { address: vip, mac };
const names = new Map([[mac, 'rs2']]);

t.test('who answers for a VIP is a claimant, by the name that its agent reports', async (t) => {
  t.strictSame(nextClaimants([], [vip], [claim], names), [{ ...claim, realServer: 'rs2', missed: 0 }]);
  t.strictSame(nextClaimants([], [vip], [claim], new Map()), [{ ...claim, realServer: undefined, missed: 0 }]);
});

t.test('one lost answer is no end, two in a row are; a name once known stays', async (t) => {
  const once = nextClaimants([], [vip], [claim], names);
  const missed = nextClaimants(once, [vip], [], new Map());
  t.strictSame(missed, [{ ...claim, realServer: 'rs2', missed: 1 }]);
  t.strictSame(nextClaimants(missed, [vip], [claim], names), once);
  t.strictSame(nextClaimants(missed, [vip], [], names), []);
});

t.test('a VIP that was not asked for says nothing about its claimants', async (t) => {
  const known = nextClaimants([], [vip], [claim], names);
  t.strictSame(nextClaimants(known, ['192.0.2.101'], [], names), known);
});

t.test('the words name the host and what to look at', async (t) => {
  const known: Claimant = { ...claim, realServer: 'rs2', missed: 0 };
  t.match(claimWords(known), /^rs2 \(02:.*\) answers ARP for 192\.0\.2\.100, .*ip addr show to 192\.0\.2\.100$/);
  t.match(claimWords({ ...known, address: '2001:db8::100' }), /answers neighbor solicitations .*ip -6 addr show to/);
  t.match(claimWords({ ...known, realServer: undefined }), /^another machine claims 192\.0\.2\.100: 02:.*no agent/);
});

const claimArb = fc.record({
  address: fc.constantFrom('192.0.2.100', '192.0.2.101', '2001:db8::100'),
  mac: fc.constantFrom('02:00:00:00:00:01', '02:00:00:00:00:02'),
});
const roundArb = fc.uniqueArray(claimArb, { selector: keyOf });

holds(
  t,
  'in every history a claimant is exactly who answered in one of the last two rounds, and is there once',
  fc.property(fc.array(roundArb, { minLength: 1 }), (rounds) => {
    const asked = ['192.0.2.100', '192.0.2.101', '2001:db8::100'];
    let known: Claimant[] = [];
    return rounds.every((heard, i) => {
      known = nextClaimants(known, asked, heard, names);
      const expected = new Set([...heard, ...(rounds[i - 1] ?? [])].map(keyOf));
      const keys = known.map(keyOf);
      return keys.length === expected.size && keys.every((key) => expected.has(key));
    });
  }),
);
