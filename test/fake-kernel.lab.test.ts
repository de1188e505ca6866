import t from 'tap';
import { openKernel } from '../src/kernel/open.ts';
import { lab, sh } from './kernel/lab.ts';
import { kernelCases } from './kernel-cases.ts';

for (const { what, given = [], step, code } of kernelCases)
  lab(t, `the real kernel answers as the fake one does: ${what}`, async (t) => {
    const kernel = await openKernel({ ipvs: true });
    t.teardown(() => kernel.close());
    t.strictSame(await kernel.apply(given), [], 'what is given');
    const table = () => sh('ipvsadm -Sn; ip addr show dev lo');
    const before = table();
    t.match(await kernel.apply([step]), code ? [{ code, step }] : []);
    if (code) t.equal(table(), before, 'a refusal changes nothing');
    else t.strictSame(await kernel.apply([step]), [], 'once more is no failure');
  });
