import { lanesOf, roomFor } from './lanes.ts';
import type { Box, Ribbon } from './layout.ts';
import { roundedPath } from './paths.ts';
import { ribbonWidth } from './scale.ts';
import type { Placed, Wanted } from './wide.ts';

const most = 30;
const arrow = 8;
const trunk = 12;

/**
 * From top to bottom: clients, director, real servers. Requests go down the left side, replies up the right one: the last
 * server's on the outside, so that none cross.
 */
export function tallLayout({ requests, stops, width, full, many }: Wanted): Placed {
  const roomKept = roomFor(stops.length, most);
  const side = roomKept + 14;
  const serverX = 30;
  const rowHeight = 84;
  const pitch = 106;
  const { lanes, room } = lanesOf([...stops].reverse().map(({ tx }) => tx), full, most); // biome-ignore format: short
  const clients = { x: 0, y: 2, width: width - side, height: Math.max(52, roomKept + 12) };
  const director = { x: 0, y: clients.y + clients.height + 74, width: width - side, height: 104 };
  const directorBottom = director.y + director.height;
  const boxes: Box[] = [];
  let y = directorBottom + 34;
  for (const { height } of stops) {
    const tall = many ? height : rowHeight;
    boxes.push({ x: serverX, y, width: width - side - serverX, height: tall });
    y += many ? height : pitch;
  }
  const middle = 34;
  const ribbons: Ribbon[] = [
    {
      id: 'requests',
      way: 'request',
      path: `M${middle} ${clients.y + clients.height}L${middle} ${director.y - arrow}`,
      width: ribbonWidth(requests, full, most),
      mbit: requests,
      end: { x: middle, y: director.y, turn: 90 },
    },
  ];
  stops.forEach(({ id, rx, tx }, i) => {
    const box = boxes[i];
    const lane = lanes[stops.length - 1 - i];
    if (!box || !lane) return;
    const at = box.y + Math.min(box.height / 2, rowHeight / 2);
    const back = clients.y + (clients.height - room) / 2 + lane.offset;
    ribbons.push({
      id: `to ${id}`,
      way: 'request',
      path: roundedPath([{ x: trunk, y: directorBottom }, { x: trunk, y: at }, { x: box.x - arrow, y: at }], 10), // biome-ignore format: short
      width: ribbonWidth(rx, full, most),
      mbit: rx,
      end: { x: box.x, y: at, turn: 0 },
    });
    const right = width - lane.offset;
    ribbons.push({
      id: `from ${id}`,
      way: 'reply',
      path: roundedPath(
        [
          { x: box.x + box.width, y: at },
          { x: right, y: at },
          { x: right, y: back },
          { x: clients.width + arrow, y: back },
        ],
        10 + room - lane.offset,
      ),
      width: lane.width,
      mbit: tx,
      end: { x: clients.width, y: back, turn: 180 },
    });
  });
  return {
    width,
    height: y + 4,
    shape: 'tall',
    many,
    clients,
    director,
    boxes,
    ribbons,
    words: {
      requests: { x: middle + 14, y: (clients.y + clients.height + director.y) / 2 },
      replies: { x: clients.width - 14, y: clients.y + clients.height / 2 },
    },
  };
}
