import { readFileSync, writeFileSync } from 'node:fs';
import { type Advice, KernelError, kernelError } from './errors.ts';

const ROOT = '/proc/sys/';

/** Value of a sysctl, trimmed; undefined where this kernel has none. Throws KernelError. */
export function readSysctl(key: string, root = ROOT): string | undefined {
  const path = pathOf(key, root);
  try {
    return readFileSync(path, 'utf8').trim();
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    // ENOTDIR, EISDIR: there is something, but no value.
    if (code === 'ENOENT' || code === 'ENOTDIR' || code === 'EISDIR') return undefined;
    throw refused(`read sysctl ${key}`, error);
  }
}

/** Sets a sysctl. Throws KernelError: ENOENT where this kernel has none, EINVAL for a value it does not take. */
export function writeSysctl(key: string, value: string, root = ROOT): void {
  try {
    writeFileSync(pathOf(key, root), value, { flag: 'r+' });
  } catch (error) {
    throw error instanceof KernelError ? error : refused(`set sysctl ${key}=${value}`, error);
  }
}

/**
 * Path of a key below /proc/sys, by the rule of sysctl(8) and sysctl.d(5): when the first separator is a dot, dots part
 * the names and a slash stands for a dot within one (net.ipv4.conf.eth0/100.arp_ignore is of the interface eth0.100);
 * when it is a slash, both stand for themselves.
 */
export function pathOf(key: string, root = ROOT): string {
  const first = /[./]/.exec(key)?.[0];
  const names = first === '/' ? key.split('/') : key.split('.').map((name) => name.replaceAll('/', '.'));
  const bad = names.some((name) => name === '' || name === '.' || name === '..' || /[\s\0]/.test(name));
  if (bad || names.length < 2) throw new KernelError('EINVAL', `"${key}" is no name of a sysctl`);
  return root + names.join('/');
}

function refused(doing: string, error: unknown): KernelError {
  const { errno, code } = error as NodeJS.ErrnoException;
  if (errno === undefined || code === undefined) throw error;
  return kernelError(doing, { errno: -errno }, advice);
}

const readOnly =
  'it is read-only here; run as root, and in a container with a writable /proc/sys (privileged, or set it on the host)';

const advice: Advice = {
  EROFS: readOnly,
  EACCES: readOnly,
  EPERM: readOnly,
  ENOENT: 'this kernel has no such sysctl',
  EINVAL: 'the kernel does not take this value',
  ERANGE: 'the kernel does not take this value',
};
