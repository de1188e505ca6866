import { release } from 'node:os';
import t from 'tap';
import { availableModules, connectionTableBits } from '../../../src/kernel/doctor/modules.ts';

t.test('modules are those loaded, those built in, and those that can be loaded', async (t) => {
  const root = t.testdir({
    proc: { modules: 'ip_vs_wlc 16384 0 - Live 0x0000000000000000\nip_vs 1 2 ip_vs_wlc, Live 0x0\n' },
    lib: {
      modules: {
        [release()]: {
          'modules.builtin': 'kernel/net/netfilter/nf-conntrack.ko\n',
          'modules.dep':
            'kernel/net/netfilter/ipvs/ip_vs_mh.ko.xz: kernel/net/netfilter/ipvs/ip_vs.ko.xz\nkernel/a/ip_vs_sh.ko:\n',
        },
      },
    },
  });
  t.strictSame([...availableModules(root)].sort(), ['ip_vs', 'ip_vs_mh', 'ip_vs_sh', 'ip_vs_wlc', 'nf_conntrack']);
  t.strictSame(availableModules(t.testdir({})), new Set());
});

t.test('the size of the table of IPVS, where the kernel tells it', async (t) => {
  const of = (text: string) =>
    connectionTableBits(t.testdir({ sys: { module: { ip_vs: { parameters: { conn_tab_bits: text } } } } }));
  t.equal(of('12\n'), 12);
  for (const text of ['', 'x', '0', '1.5']) t.equal(of(text), undefined, text);
  t.equal(connectionTableBits(t.testdir({})), undefined);
});
