/** Through these points with rounded corners; each corner has a radius of its own, at most half of the shorter leg. */
export function roundedPath(points: readonly Point[], radius: number): string {
  const [first] = points;
  if (!first) return '';
  let path = `M${f(first.x)} ${f(first.y)}`;
  points.forEach((at, i) => {
    const before = points[i - 1];
    const after = points[i + 1];
    if (!before) return;
    if (!after) {
      path += `L${f(at.x)} ${f(at.y)}`;
      return;
    }
    const r = Math.min(radius, distance(before, at) / 2, distance(at, after) / 2);
    const enter = towards(at, before, r);
    const leave = towards(at, after, r);
    path += `L${f(enter.x)} ${f(enter.y)}Q${f(at.x)} ${f(at.y)} ${f(leave.x)} ${f(leave.y)}`;
  });
  return path;
}

/** From one point to another on its right, leaving level, and level over the last stretch of this length. */
export function levelCurve(from: Point, to: Point, last = 0): string {
  const x = Math.max(from.x, to.x - last);
  const middle = (from.x + x) / 2;
  return `M${f(from.x)} ${f(from.y)}C${f(middle)} ${f(from.y)} ${f(middle)} ${f(to.y)} ${f(x)} ${f(to.y)}H${f(to.x)}`;
}

export interface Point {
  x: number;
  y: number;
}

export const f = (value: number): string => String(Math.round(value * 10) / 10);

const distance = (a: Point, b: Point) => Math.hypot(a.x - b.x, a.y - b.y);

function towards(from: Point, to: Point, by: number): Point {
  const length = distance(from, to) || 1;
  return { x: from.x + ((to.x - from.x) * by) / length, y: from.y + ((to.y - from.y) * by) / length };
}
