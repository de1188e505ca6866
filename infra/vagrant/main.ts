// What is done with the machines of the Vagrantfile once they are up: npm run machines -- prove, or reboot [MACHINE...].
import { createPrinter } from '../lab/print.ts';
import { openMachines } from './machines.ts';
import { prove } from './prove.ts';
import { rebootEach } from './reboot.ts';

const [command, ...names] = process.argv.slice(2);
if (command !== 'prove' && command !== 'reboot') {
  console.error(`npm run machines -- prove               joins the agents, makes the pool, and proves its traffic
npm run machines -- reboot [MACHINE...] restarts each machine in turn, and waits until everything has returned by itself`);
  process.exit(2);
}

try {
  const machines = await openMachines();
  if (command === 'prove') {
    process.exitCode = (await prove(machines, createPrinter(process.stdout))) ? 0 : 1;
  } else {
    const order =
      names.length > 0 ? names : ['director', ...machines.realServers.map(({ name }) => name), 'router', 'client'];
    const unknown = order.filter((name) => !(name in machines.hosts));
    if (unknown.length > 0) throw new Error(`there is no machine ${unknown.join(', ')}`);
    await rebootEach(machines, order, console.log);
  }
  await machines.close();
} catch (error) {
  console.error((error as Error).message);
  process.exit(1);
}
