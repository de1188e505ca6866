import { join } from 'node:path';
import { z } from 'zod';
import { emptyLedger, type Ledger } from '../src/core/state.ts';
import { type AgentDesired, agentDesiredSchema } from '../src/schema.ts';
import { type Document, openDocument } from '../src/store/document.ts';
import { ledgerSchema } from '../src/store/state.ts';

/** What the agent keeps over restarts and reboots: the last desired state, and what this host had before. */
export interface Memory {
  desired: AgentDesired;
  ledger: Ledger;
}

const memorySchema = z.strictObject({ desired: agentDesiredSchema, ledger: ledgerSchema });

/** DIR/agent.json */
export const openMemory = (dir: string): Document<Memory> =>
  openDocument<Memory>({
    path: join(dir, 'agent.json'),
    version: 1,
    schema: memorySchema,
    initial: { desired: { revision: 0, vips: [], probers: [] }, ledger: emptyLedger('') },
  });
