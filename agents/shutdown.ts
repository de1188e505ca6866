import { execFile } from 'node:child_process';

/** A busy host that shuts down, with everything on it stopping at once, has been seen to take longer than two seconds. */
const usualPatienceMs = 10_000;

/**
 * Whether this host is about to shut down or reboot, as systemd says (systemctl(1), is-system-running). False without
 * systemd, and where it does not answer in time.
 */
export function hostIsStopping(patienceMs = usualPatienceMs): Promise<boolean> {
  return new Promise((resolve) => {
    execFile('systemctl', ['is-system-running'], { timeout: patienceMs, killSignal: 'SIGKILL' }, (_, stdout) =>
      resolve(String(stdout).trim() === 'stopping'),
    );
  });
}
