import { constants } from 'node:os';
import { Protocol } from 'netlink/dist/constants.js';
import * as libc from './libc.ts';
import { RTMGRP } from './rt-attributes.ts';
import { openSocket } from './wire.ts';

const COALESCE_MS = 10;
// So that a storm of events leaves the event loop time for others; what is left wakes us again at once.
const READS_PER_WAKE = 256;

/**
 * Calls back within some 10 ms after addresses or links of this host changed. An overrun (ENOBUFS) is a change like any
 * other: the callback looks at the whole anyway. Throws KernelError.
 */
export function watchHost(changed: () => void): { close(): void } {
  const fd = openSocket(Protocol.ROUTE, RTMGRP.LINK | RTMGRP.IPV4_IFADDR | RTMGRP.IPV6_IFADDR);
  const into = Buffer.alloc(4096);
  let timer: NodeJS.Timeout | undefined;
  let closed = false;
  const reader = libc.onReadable(fd, () => {
    for (let reads = 0; reads < READS_PER_WAKE && libc.recv(fd, into) !== -constants.errno.EAGAIN; reads++);
    timer ??= setTimeout(() => {
      timer = undefined;
      changed();
    }, COALESCE_MS);
  });
  return {
    close() {
      if (closed) return;
      closed = true;
      clearTimeout(timer);
      reader.close();
      libc.close(fd);
    },
  };
}
