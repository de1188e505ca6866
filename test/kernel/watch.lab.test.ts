import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import { openKernel } from '../../src/kernel/open.ts';
import { lab, plainNode, sh, sleep, until } from './lab.ts';

lab(t, 'a change of addresses or links is told within a second, and many together as few', async (t) => {
  const kernel = openKernel({ ipvs: false });
  sh('ip link add eth0 type dummy; ip addr add 192.0.2.100/32 dev lo; ip addr add 2001:db8::100/128 dev lo nodad');
  let told = 0;
  const watching = kernel.watch(() => {
    told += 1;
  });
  await sleep(100);
  t.equal(told, 0, 'nothing changed yet');
  for (const change of [
    'ip addr del 192.0.2.100/32 dev lo',
    'ip addr del 2001:db8::100/128 dev lo',
    'ip link set eth0 up',
    'ip link del eth0',
  ]) {
    await sleep(100);
    told = 0;
    sh(change);
    const took = await until(() => told > 0, 20_000);
    t.ok(took !== undefined, `${change}: after ${Math.round(took ?? 0)} ms`);
  }
  await sleep(100);
  told = 0;
  sh('for i in $(seq 1 50); do echo "addr add 192.0.2.$i/32 dev lo"; done | ip -batch -');
  await until(() => told > 0, 20_000);
  await sleep(200);
  t.ok(told >= 1 && told <= 30, `${told} calls for 50 changes`);
  watching.close();
  watching.close();
  told = 0;
  sh('ip addr add 192.0.2.200/32 dev lo');
  await sleep(100);
  t.equal(told, 0, 'nothing after close');
  kernel.close();
});

lab(t, 'a burst that overruns the socket is one more change, and the addresses are right afterwards', async (t) => {
  const kernel = openKernel({ ipvs: false });
  const file = join(t.testdir(), 'burst');
  const lines: string[] = [];
  for (let round = 0; round < 4; round++)
    for (const verb of ['add', 'del'])
      for (let n = 0; n < 2000; n++) lines.push(`addr ${verb} 10.${round}.${n >> 8}.${n & 255}/32 dev lo`);
  writeFileSync(file, lines.join('\n'));
  let told = 0;
  kernel.watch(() => {
    told += 1;
  });
  // Nothing is read while this runs: more events than any buffer holds.
  sh(`ip -batch ${file}; ip addr add 192.0.2.100/32 dev lo`);
  t.ok(await until(() => told > 0, 20_000), 'told after the burst');
  t.ok(kernel.addresses().some(({ address }) => address === '192.0.2.100'));
  await sleep(200);
  told = 0;
  sh('ip addr del 192.0.2.100/32 dev lo');
  t.ok(await until(() => told > 0, 20_000), 'and of what comes later');
  kernel.close();
});

lab(t, 'reading while addresses change by the hundred gives what is there in the end', async (t) => {
  const kernel = openKernel({ ipvs: false });
  const churn = spawn('sh', ['-c', 'for i in $(seq 1 200); do ip addr add 10.9.0.$i/32 dev lo; done']);
  let ended = false;
  churn.on('exit', () => {
    ended = true;
  });
  let reads = 0;
  for (; !ended; await sleep(20)) reads += kernel.addresses().length > 0 ? 1 : 0;
  t.ok(reads > 3, `${reads} reads meanwhile`);
  t.equal(kernel.addresses().filter(({ address }) => address.startsWith('10.9.0.')).length, 200);
  kernel.close();
});

lab(t, 'a process that closes the kernel ends, and so does one that exits without closing it', async (t) => {
  for (const last of ['kernel.close()', 'process.exit(0)']) {
    const script = `import('./src/kernel/open.ts').then(({ openKernel }) => {
      const kernel = openKernel({ ipvs: false });
      kernel.watch(() => {});
      setTimeout(() => { console.log('now'); ${last}; }, 200);
    })`;
    const child = spawn('sh', ['-c', `exec ${plainNode} --input-type=module -e "$1"`, 'sh', script], {
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    await once(child.stdout, 'data');
    const since = performance.now();
    const [code] = await once(child, 'exit');
    t.equal(code, 0);
    t.ok(performance.now() - since < 10_000, `${last}: after ${Math.round(performance.now() - since)} ms`);
  }
});
