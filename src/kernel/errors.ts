import { getSystemErrorMap } from 'node:util';
import { CodedError } from '../errors.ts';

/** A refusal of this host's kernel; `code` is the kernel's name of the error (EPERM), `message` says what to do about it. */
export class KernelError extends CodedError {
  constructor(code: string, message: string, options?: ErrorOptions) {
    super(code, message, exitCodes[code] ?? 1, options);
    this.name = 'KernelError';
  }
}

/** An answer of the kernel other than yes: errno as a positive number, and its own words where it gave any (NETLINK_EXT_ACK). */
export interface Refusal {
  errno: number;
  detail?: string;
}

/** Words for a code in one situation; they take the place of the general ones. */
export type Advice = Readonly<Record<string, string>>;

// getSystemErrorMap() makes a new map each time.
const names = getSystemErrorMap();

/** Kernel's name of an errno: "EPERM" for 1, "E1234" for one that nobody knows. */
export const codeOf = (errno: number): string => names.get(-errno)?.[0] ?? `E${errno}`;

/** The one way from an errno to an error: "cannot DOING: REASON (the kernel's own words)". */
export function kernelError(doing: string, { errno, detail }: Refusal, advice: Advice = {}): KernelError {
  const code = codeOf(errno);
  const reason = advice[code] ?? general[code] ?? names.get(-errno)?.[1] ?? `error ${errno}`;
  return new KernelError(code, `cannot ${doing}: ${reason}${detail ? ` (kernel: ${detail})` : ''}`);
}

/** A reply that does not follow its format. */
export const malformed = (what: string): KernelError =>
  new KernelError('EBADMSG', `the kernel's reply cannot be read: ${what}`);

const privilege = 'missing privilege; run as root or with CAP_NET_ADMIN and CAP_NET_RAW';

const general: Advice = {
  EPERM: privilege,
  EACCES: privilege,
  ENODEV: 'no such interface',
  ENETDOWN: 'the interface is down',
  ENOBUFS: 'the kernel had more to say than the socket buffer holds; raise net.core.rmem_max',
  ENOMEM: 'the kernel is out of memory',
  EPROTONOSUPPORT: 'this kernel lacks the protocol',
};

/** Missing privilege or kernel feature (DESIGN.md, Files and flags). */
const exitCodes: Readonly<Record<string, 3>> = { EPERM: 3, EACCES: 3, EPROTONOSUPPORT: 3, EAFNOSUPPORT: 3, EROFS: 3 };
