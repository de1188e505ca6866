import type { PoolDetail } from '../live/status.ts';
import { some } from '../text/format.ts';
import { connectionsOf } from './connections.ts';

/** What somebody is about to ask of a real server. */
export interface Change {
  name: string;
  state: 'active' | 'drain' | 'maintenance';
}

export interface ChangeWords {
  title: string;
  text: string;
  warning: string | undefined;
  verb: string;
}

/** What a change of a real server's state comes to. */
export function changeWords({ name, state }: Change, detail: Pick<PoolDetail, 'realServers'>): ChangeWords {
  const server = detail.realServers[name];
  const left = server ? connectionsOf(server) : 0;
  const going = left > 0 ? `its ${some(left, 'connection')} may end by themselves` : 'it has no connections now';
  const others = Object.entries(detail.realServers).filter(([other, { serving }]) => other !== name && serving);
  const last =
    state !== 'active' && server?.serving && others.length === 0
      ? `No other real server of this pool is in service: clients get what the pool's "fallback" says.`
      : undefined;
  switch (state) {
    case 'drain':
      return {
        title: `Drain ${name}?`,
        text: `It gets no new connections; ${going}. It stays in the pool until you return it.`,
        warning: last,
        verb: `Drain ${name}`,
      };
    case 'maintenance':
      return {
        title: `Take ${name} out for maintenance?`,
        text: `It gets no new connections; ${going}. It is not probed, and whatever happens to it is no alarm, until you return it.`,
        warning: last,
        verb: `Take ${name} out`,
      };
    case 'active':
      return {
        title: `Return ${name} to service?`,
        text: 'It gets new connections as soon as its probe and its agent say that it is fit.',
        warning: undefined,
        verb: `Return ${name}`,
      };
  }
}
