/** Milliseconds that something took, without those in which this process was ready to run and a busy machine did not let it. */
export async function took(something: () => Promise<unknown>): Promise<number> {
  const everyMs = 5;
  const began = performance.now();
  let waited = 0;
  let [last, lastCpu] = [began, process.cpuUsage()];
  const look = () => {
    const [now, cpu] = [performance.now(), process.cpuUsage(lastCpu)];
    waited += Math.max(0, now - last - everyMs - (cpu.user + cpu.system) / 1000);
    [last, lastCpu] = [now, process.cpuUsage()];
  };
  const timer = setInterval(look, everyMs);
  await something();
  clearInterval(timer);
  look();
  return performance.now() - began - waited;
}
