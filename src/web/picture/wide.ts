import { lanesOf, roomFor } from './lanes.ts';
import type { Box, Layout, Ribbon, Stop } from './layout.ts';
import { levelCurve, roundedPath } from './paths.ts';
import { ribbonWidth } from './scale.ts';

export interface Wanted {
  requests: number | null;
  stops: readonly Stop[];
  width: number;
  full: number;
  many: boolean;
}

export type Placed = Omit<Layout, 'places' | 'group'> & { boxes: Box[] };

/** Room for all replies side by side, at the full rate. */
const most = 64;
const arrow = 9;
/** Height of a row when there are more than a few. */
export const slimRow = 42;
const top = 22;
/** Level stretch before a real server, where its figure stands. */
const label = 74;

/**
 * From left to right: clients, director, real servers. The replies leave each real server on its right, run down and
 * back below the director, and up to the clients: the first server's on the outside, so that none cross.
 */
export function wideLayout({ requests, stops, width, full, many }: Wanted): Placed {
  const few = stops.length <= 6;
  const rowHeight = few ? 62 : slimRow;
  const pitch = few ? Math.max(88, 116 - 7 * stops.length) : 60;
  const { lanes, room } = lanesOf(stops.map(({ tx }) => tx), full, most); // biome-ignore format: short
  const roomKept = roomFor(stops.length, most);
  const labels = many ? 84 : 104;
  const serverWidth = many ? Math.max(280, width * 0.46) : Math.min(340, Math.max(210, width * 0.25));
  const serverX = width - roomKept - labels - serverWidth;
  const clientsWidth = Math.max(124, roomKept + 24);
  const directorWidth = Math.min(220, Math.max(176, width * 0.17));
  const directorX = clientsWidth + (serverX - clientsWidth - directorWidth) * 0.5;

  const boxes: Box[] = [];
  let y = top;
  for (const { height } of stops) {
    const tall = many ? height : rowHeight;
    boxes.push({ x: serverX, y: many ? y : y + (pitch - rowHeight) / 2, width: serverWidth, height: tall });
    y += many ? height : pitch;
  }
  const bottom = Math.max(y, top + 180);
  const middle = (top + bottom) / 2;
  const director = { x: directorX, y: middle - 59, width: directorWidth, height: 118 };
  const river = bottom + 34;
  const height = river + roomKept + 6;
  const clients = { x: 0, y: middle - 59, width: clientsWidth, height: 118 };
  const clientsBottom = clients.y + clients.height;

  const radius = 30;
  const ribbons: Ribbon[] = [
    {
      id: 'requests',
      way: 'request',
      path: levelCurve({ x: clients.width, y: middle }, { x: director.x - arrow, y: middle }),
      width: ribbonWidth(requests, full, most),
      mbit: requests,
      end: { x: director.x, y: middle, turn: 0 },
    },
  ];
  stops.forEach(({ id, rx, tx }, i) => {
    const box = boxes[i];
    const lane = lanes[i];
    if (!box || !lane) return;
    const inY = many ? middle : box.y + box.height / 2;
    const outY = inY;
    const spread = Math.min(10, 60 / stops.length) * (i - (stops.length - 1) / 2);
    ribbons.push({
      id: `to ${id}`,
      way: 'request',
      path: levelCurve({ x: director.x + director.width, y: middle + spread }, { x: box.x - arrow, y: inY }, label),
      width: ribbonWidth(rx, full, most),
      mbit: rx,
      end: { x: box.x, y: inY, turn: 0 },
    });
    const right = width - lane.offset;
    const down = river + roomKept - lane.offset;
    const left = (clients.width - room) / 2 + lane.offset;
    ribbons.push({
      id: `from ${id}`,
      way: 'reply',
      path: roundedPath(
        [
          { x: box.x + box.width, y: outY },
          { x: right, y: outY },
          { x: right, y: down },
          { x: left, y: down },
          { x: left, y: clientsBottom + arrow },
        ],
        radius + room - lane.offset,
      ),
      width: lane.width,
      mbit: tx,
      end: { x: left, y: clientsBottom, turn: -90 },
    });
  });
  return {
    width,
    height,
    shape: 'wide',
    many,
    clients,
    director,
    boxes,
    ribbons,
    words: {
      requests: { x: (clients.width + director.x) / 2, y: middle },
      replies: { x: (clients.width + director.x) / 2 + 20, y: river + roomKept - room - 14 },
    },
  };
}
