import { execFile } from 'node:child_process';

/**
 * Whether this host is about to shut down or reboot, as systemd says (systemctl(1), is-system-running). False without
 * systemd, and where it does not answer in time.
 */
export function hostIsStopping(): Promise<boolean> {
  return new Promise((resolve) => {
    execFile('systemctl', ['is-system-running'], { timeout: 2000, killSignal: 'SIGKILL' }, (_, stdout) =>
      resolve(String(stdout).trim() === 'stopping'),
    );
  });
}
