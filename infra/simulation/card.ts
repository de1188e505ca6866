// A network card as a pipe that its transfers share.

export interface Transfer {
  /** Bytes. */
  left: number;
  /** What its client takes at most in a step, bytes. */
  clientBytes: number;
}

/**
 * Sends what fits into `room` bytes: shared evenly, but no transfer gets more than its client takes. Takes those that have
 * ended out of the list and tells of them; answers the bytes sent.
 */
export function carry<T extends Transfer>(list: T[], room: number, done: (transfer: T) => void): number {
  if (list.length === 0) return 0;
  const level = levelOf(list, room);
  let carried = 0;
  let kept = 0;
  for (const transfer of list) {
    const piece = Math.min(level, transfer.clientBytes, transfer.left);
    transfer.left -= piece;
    carried += piece;
    if (transfer.left > 0.5) list[kept++] = transfer;
    else done(transfer);
  }
  list.length = kept;
  return carried;
}

/** What each may have at most, so that all of it fits. */
function levelOf(list: readonly Transfer[], room: number): number {
  const asks = list.map(({ clientBytes, left }) => Math.min(clientBytes, left));
  if (asks.reduce((sum, ask) => sum + ask, 0) <= room) return Number.POSITIVE_INFINITY;
  asks.sort((a, b) => a - b);
  let left = room;
  for (const [i, ask] of asks.entries()) {
    const fair = left / (asks.length - i);
    if (ask > fair) return fair;
    left -= ask;
  }
  return Number.POSITIVE_INFINITY;
}
