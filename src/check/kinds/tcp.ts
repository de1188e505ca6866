import type { Kind } from '../open.ts';
import { ok } from './outcomes.ts';
import { withStream } from './stream.ts';

/** Connects, and closes at once. */
export const tcp: Kind = (probe) => withStream(probe, () => ok('takes a connection'));
