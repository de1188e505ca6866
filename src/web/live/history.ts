/** The last figures of one thing, oldest first; null where nothing was known. */
export type Line = readonly (number | null)[];

/** Figures of the last two minutes, one a second. */
export interface History {
  replies: Line;
  director: Line;
  /** What leaves each host, Mbit/s, by name. */
  hosts: ReadonlyMap<string, Line>;
  /** When the newest was added, milliseconds of a clock that only grows. */
  at: number | null;
}

export const keptSeconds = 120;

export const emptyHistory: History = { replies: [], director: [], hosts: new Map(), at: null };

export interface Figures {
  replies: number | null;
  director: number | null;
  hosts: ReadonlyMap<string, number>;
}

/** The history with the newest figures at its end. Seconds that were missed are gaps, not straight lines. */
export function withFigures(history: History, figures: Figures, at: number): History {
  const passed = history.at === null ? 1 : Math.round((at - history.at) / 1000);
  const gap = Math.min(keptSeconds, Math.max(0, passed - 1));
  const names = new Set([...history.hosts.keys(), ...figures.hosts.keys()]);
  const hosts = new Map<string, Line>();
  for (const name of names) {
    const line = appended(history.hosts.get(name) ?? [], figures.hosts.get(name) ?? null, gap);
    if (line.some((value) => value !== null)) hosts.set(name, line);
  }
  return {
    replies: appended(history.replies, figures.replies, gap),
    director: appended(history.director, figures.director, gap),
    hosts,
    at,
  };
}

function appended(line: Line, value: number | null, gap: number): Line {
  const next = [...line, ...Array<null>(gap).fill(null), value];
  return next.length > keptSeconds ? next.slice(-keptSeconds) : next;
}

/** The greatest value; 0 when there is none. */
export const peakOf = (line: Line): number => line.reduce<number>((most, value) => Math.max(most, value ?? 0), 0);

/** Path of a line through these figures in a box, newest at the right edge; with gaps where nothing was known. */
export function pathOf(line: Line, most: number, width: number, height: number): string {
  const step = width / (keptSeconds - 1);
  let drawing = false;
  let path = '';
  line.forEach((value, i) => {
    if (value === null) {
      drawing = false;
      return;
    }
    const x = width - (line.length - 1 - i) * step;
    const y = height - (most > 0 ? Math.min(1, value / most) : 0) * height;
    path += `${drawing ? 'L' : 'M'}${x.toFixed(1)} ${y.toFixed(1)}`;
    drawing = true;
  });
  return path;
}
