// What the lab's inside (show.ts) tells its outside (main.ts), as lines of JSON on its output.

import type { Tally } from './fetch.ts';

export interface Settings {
  realServers: number;
  mbit: number;
  seconds: number;
  stay: boolean;
  /** Where the API can be reached from outside, in HAProxy's words for `bind`. */
  apiBinds: string[];
}

export type Event =
  /** A step begins; the one before it has ended. `means` says in a line what it is for. */
  | { type: 'step'; title: string; means: string }
  /** Something to show under the step. */
  | { type: 'note'; lines: string[] }
  /** How far traffic is: Mbit/s out of each card and into the client. */
  | { type: 'progress'; second: number; seconds: number; client: number; cards: Record<string, number> }
  | { type: 'result'; result: Result }
  /** Everything goes on running; how to enter each host from the outside. */
  | { type: 'up'; enter: Record<string, string[]> };

export interface Card {
  inBytes: number;
  outBytes: number;
  inMbit: number;
  outMbit: number;
}

/** One way of fetching, measured from the client. */
export interface Traffic extends Tally {
  url: string;
  mbit: number;
  /** A sample of the replies' frames by the host whose card sent them: by source MAC, captured on the router. */
  frames: Record<string, number>;
  cards: Record<string, Card>;
  /** Share of the processors' time that nothing used, 0 to 1. Near 0 they are the limit, not the cards. */
  idle: number;
}

export interface Goal {
  what: string;
  goal: string;
  measured: string;
  met: boolean;
}

export interface Result {
  realServers: number;
  mbit: number;
  direct: Traffic;
  php: Traffic;
  haproxy: Traffic;
  /** direct.mbit / haproxy.mbit */
  ratio: number;
  /** What left through the director's card, of all that came to the client, in direct mode. */
  directorShare: number;
  goals: Goal[];
}
