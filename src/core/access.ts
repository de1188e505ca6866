/** What a key may do. An invitation may be made into one agent's key, once. */
export type Role = 'admin' | 'viewer' | 'agent' | 'invitation';

/** Who sends a request. */
export type Caller =
  /** Trusted by where it comes from: the socket that only root may open, or a controller that was told to trust everybody. */
  | { kind: 'root' }
  | { kind: 'anybody' }
  | { kind: 'nobody' }
  | {
      kind: 'key';
      id: string;
      role: Role;
      /** Of an agent's key and of an invitation: the agent's name; of others what they were made for. */
      name: string;
      /** Machine that an agent's key was given to. */
      machineId: string | null;
    };

/**
 * What a route asks of its caller. `agent`: the agent that the route names, and nobody else; `invitation`: somebody who
 * was invited; `view`: who may read; `change`: who may do all; `open`: everybody.
 */
export type Access = 'open' | 'view' | 'change' | 'agent' | 'invitation';

/**
 * Whether the caller may, or why not, in words.
 *
 * @param agent name in the route's path
 */
export function refusalOf(caller: Caller, access: Access, agent: string | undefined): string | undefined {
  if (caller.kind === 'root' || caller.kind === 'anybody' || access === 'open') return undefined;
  if (caller.kind === 'nobody') return 'it needs a token';
  const { role, name } = caller;
  const may = {
    admin: access === 'view' || access === 'change',
    viewer: access === 'view',
    agent: access === 'agent' && name === agent,
    invitation: access === 'invitation',
  }[role];
  if (may) return undefined;
  if (role === 'agent' && access === 'agent')
    return `this token speaks for the agent "${name}" alone, not for "${agent}": on ${agent} use its own (dsrctl agent invite ${agent})`;
  return `${words[role](name)}, and this needs ${needs[access]}`;
}

const words: Record<Role, (name: string) => string> = {
  admin: () => "this token is an administrator's",
  viewer: () => 'this token may only read',
  agent: (name) => `this token may only report for the agent "${name}"`,
  invitation: (name) => `this is the invitation of "${name}", which may only be given to dsr-agent join`,
};

const needs: Record<Exclude<Access, 'open'>, string> = {
  view: 'a token that may read (dsrctl token create --role viewer)',
  change: "an administrator's token",
  agent: "the agent's own token (dsrctl agent invite)",
  invitation: 'an invitation (dsrctl agent invite)',
};
