import t from 'tap';
import { type Access, type Caller, type Role, refusalOf } from '../../src/core/access.ts';

const key = (role: Role, name = 'rs1'): Caller => ({ kind: 'key', id: '0', role, name, machineId: null });

/** Who may what; everything else is refused. The agent's routes are those of rs1. */
const may: Record<string, Access[]> = {
  root: ['open', 'view', 'change', 'agent', 'invitation'],
  anybody: ['open', 'view', 'change', 'agent', 'invitation'],
  nobody: ['open'],
  admin: ['open', 'view', 'change'],
  viewer: ['open', 'view'],
  'agent rs1': ['open', 'agent'],
  'agent rs2': ['open'],
  invitation: ['open', 'invitation'],
};
const callers: Record<string, Caller> = {
  root: { kind: 'root' },
  anybody: { kind: 'anybody' },
  nobody: { kind: 'nobody' },
  admin: key('admin'),
  viewer: key('viewer'),
  'agent rs1': key('agent'),
  'agent rs2': key('agent', 'rs2'),
  invitation: key('invitation'),
};

t.test('each may what its row says, and a refusal says why', async (t) => {
  for (const [who, caller] of Object.entries(callers))
    for (const access of ['open', 'view', 'change', 'agent', 'invitation'] as const) {
      const refusal = refusalOf(caller, access, 'rs1');
      t.equal(refusal === undefined, may[who]?.includes(access), `${who}: ${access}`);
      if (refusal !== undefined) t.match(refusal, /token|invitation/);
    }
  t.match(refusalOf(key('agent', 'rs2'), 'agent', 'rs1'), /speaks for the agent "rs2" alone, not for "rs1"/);
});
