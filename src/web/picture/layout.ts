import { tallLayout } from './tall.ts';
import { tilesIn } from './tiles.ts';
import { wideLayout } from './wide.ts';

export interface Box {
  x: number;
  y: number;
  width: number;
  height: number;
}

/** What the picture shows: rates decide widths, nothing else. */
export interface Flows {
  /** From the clients to the director, Mbit/s; null: not known. */
  requests: number | null;
  servers: readonly { name: string; rx: number | null; tx: number | null }[];
}

/** One stretch of the way, drawn as a line as wide as its rate. */
export interface Ribbon {
  /** "requests", "to rs1" or "from rs1". */
  id: string;
  way: 'request' | 'reply';
  path: string;
  width: number;
  mbit: number | null;
  /** Where it arrives, and where it points to there. */
  end: { x: number; y: number; turn: number };
}

/** A real server's place: a row, or one tile of many. */
export interface Place extends Box {
  name: string;
}

export interface Layout {
  width: number;
  height: number;
  shape: 'wide' | 'tall';
  /** More servers than rows can show: tiles, and one ribbon to and from all of them. */
  many: boolean;
  clients: Box;
  director: Box;
  places: readonly Place[];
  /** Around all tiles, when there are many. */
  group: Box | null;
  ribbons: readonly Ribbon[];
  /** Where the sums are written. */
  words: { requests: { x: number; y: number }; replies: { x: number; y: number } };
}

/** A row each up to here, tiles beyond. */
export const mostRows = 12;
/** From this width on the picture goes from left to right, below it from top to bottom. */
export const wideFrom = 820;

/** Between tiles and the frame around them. */
const padding = 10;

/** A stop of the requests: one real server, or all of them together. */
export interface Stop {
  id: string;
  height: number;
  rx: number | null;
  tx: number | null;
}

/** @param full rate that is drawn with the full width, Mbit/s */
export function layoutOf(flows: Flows, width: number, full: number): Layout {
  const many = flows.servers.length > mostRows;
  const place = width >= wideFrom ? wideLayout : tallLayout;
  if (!many) {
    const stops = flows.servers.map(({ name, rx, tx }) => ({ id: name, height: 0, rx, tx }));
    const { boxes, ...rest } = place({ requests: flows.requests, stops, width, full, many });
    const places = flows.servers.flatMap(({ name }, i) => (boxes[i] ? [{ name, ...boxes[i] }] : []));
    return { ...rest, places, group: null };
  }
  const names = flows.servers.map(({ name }) => name);
  const all = { id: 'all', rx: sum(flows.servers.map(({ rx }) => rx)), tx: sum(flows.servers.map(({ tx }) => tx)) };
  // The height of the tiles follows from the width that is left for them.
  const draft = place({ requests: flows.requests, stops: [{ ...all, height: 100 }], width, full, many });
  const space = (draft.boxes[0]?.width ?? width) - 2 * padding;
  const inside = tilesIn(names, space);
  const height = inside.height + 2 * padding;
  const { boxes, ...rest } = place({ requests: flows.requests, stops: [{ ...all, height }], width, full, many });
  const [group] = boxes;
  if (!group) return { ...rest, places: [], group: null };
  const places = inside.tiles.map((tile) => ({
    ...tile,
    x: tile.x + group.x + padding,
    y: tile.y + group.y + padding,
  }));
  return { ...rest, places, group };
}

/** Null when nothing of it is known. */
export function sum(values: readonly (number | null)[]): number | null {
  const known = values.filter((value) => value !== null);
  return known.length === 0 ? null : known.reduce((a, b) => a + b, 0);
}
