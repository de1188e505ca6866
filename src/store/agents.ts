import { isDeepStrictEqual } from 'node:util';
import type { AgentRecord, Agents } from '../core/agents.ts';
import { CodedError } from '../errors.ts';
import type { Report } from '../schema.ts';
import type { Document } from './document.ts';
import type { Events } from './events.ts';
import type { KnownAgents } from './state.ts';

/** What the agents say: the only writer of the observed half. */
export interface AgentRegistry {
  all(): Agents;
  /** Takes a report, but for its traffic. Throws AGENT_OTHER_MACHINE when another machine already speaks under this name. */
  report(name: string, report: Report): void;
  /** Forgets the agent, so that another machine may take its name. False when there is none. */
  forget(name: string): Promise<boolean>;
}

/** @param changed told when something that weights depend on has changed */
export function createAgentRegistry(
  document: Document<KnownAgents>,
  events: Events,
  changed: () => void,
  now = Date.now,
): AgentRegistry {
  const agents = new Map<string, AgentRecord>(
    Object.entries(document.get().agents).map(([name, { speedMbit, ...report }]) => [
      name,
      { report, lastReport: null, ...(speedMbit !== undefined && { speedMbit }) },
    ]),
  );
  /** Machine that was last refused, by name: it reports every second, and is news once. */
  const refused = new Map<string, string>();
  const save = (name: string, { report, speedMbit }: AgentRecord) => {
    const said = { ...report, ...(speedMbit !== undefined && { speedMbit }) };
    document
      .change((known) => ({ agents: { ...known.agents, [name]: said } }))
      .catch((error: Error) => events.add('state-not-saved', error.message, { agent: name }));
  };
  return {
    all: () => agents,
    report: (name, { card, connections: _connections, doctor, ...report }) => {
      const known = agents.get(name);
      if (known && known.report.machineId !== report.machineId) {
        const message = `another machine reports under the name "${name}" (from ${report.addresses[0] ?? 'no address'}; ${known.report.addresses[0] ?? 'another'} is known): give it a name of its own, or DELETE /v1/agents/${name} if the old machine is gone for good`;
        if (refused.get(name) !== report.machineId) events.add('agent-refused', message, { agent: name });
        refused.set(name, report.machineId);
        throw new CodedError('AGENT_OTHER_MACHINE', message);
      }
      const found = doctor ?? known?.doctor;
      const speedMbit = card ? card.speedMbit : known?.speedMbit;
      const record = { report, lastReport: now(), ...(speedMbit && { speedMbit }), ...(found && { doctor: found }) };
      agents.set(name, record);
      if (!known) events.add('agent-joined', `the agent ${name} reports for the first time`, { agent: name });
      const isSame = known !== undefined && isDeepStrictEqual(weighty(known), weighty(record));
      if (isSame && known.lastReport !== null) return;
      if (!isSame) save(name, record);
      changed();
    },
    forget: async (name) => {
      if (!agents.delete(name)) return false;
      refused.delete(name);
      await document.change(({ agents: { [name]: _, ...rest } }) => ({ agents: rest }));
      events.add('agent-forgotten', `the agent ${name} is forgotten`, { agent: name });
      changed();
      return true;
    },
  };
}

/** What weights depend on. */
const weighty = ({ report: { machineId, bootId, addresses, vips, leaving }, speedMbit }: AgentRecord) => ({
  machineId,
  bootId,
  addresses,
  vips,
  leaving,
  speedMbit,
});
