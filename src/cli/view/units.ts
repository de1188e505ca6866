/** Milliseconds of "30s", "500ms", "2m", "1h", "90d" or "30" (seconds); undefined when it is none of these. */
export function parseDuration(text: string): number | undefined {
  const [, count, unit = 's'] = /^(\d+(?:\.\d+)?)(ms|s|m|h|d)?$/.exec(text) ?? [];
  if (count === undefined) return undefined;
  const factor = { ms: 1, s: 1000, m: 60_000, h: 3_600_000, d: 86_400_000 }[unit] ?? 1000;
  return Math.round(Number(count) * factor);
}

/** Mbit/s of "250mbit", "1.2gbit", "500 kbit/s"; undefined when it is none of these. */
export function parseMbit(text: string): number | undefined {
  const [, count, unit = ''] = /^(\d+(?:\.\d+)?) ?([kmgt])bit(?:\/s|ps)?$/i.exec(text.trim()) ?? [];
  if (count === undefined) return undefined;
  return Number(count) * ({ k: 0.001, m: 1, g: 1000, t: 1e6 }[unit.toLowerCase()] ?? 1);
}

/** "850 ms", "12 s", "3 min", "2 h". */
export function durationText(ms: number): string {
  if (ms < 1000) return `${Math.round(ms)} ms`;
  if (ms < 120_000) return `${Math.round(ms / 1000)} s`;
  return ms < 7_200_000 ? `${Math.round(ms / 60_000)} min` : `${Math.round(ms / 3_600_000)} h`;
}

/** Mbit/s, as precise as it matters. */
export const mbitText = (mbit: number): string => (mbit >= 100 ? mbit.toFixed(0) : mbit.toFixed(mbit >= 10 ? 1 : 2));
export const percentText = (percent: number | null): string =>
  percent === null ? '?' : `${percent.toFixed(percent < 10 ? 1 : 0)} %`;

/** "1 pool", "2 pools". */
export const counted = (count: number, what: string): string => `${count} ${what}${count === 1 ? '' : 's'}`;
