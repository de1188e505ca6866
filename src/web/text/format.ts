/** What stands where nothing is known. */
export const nothing = '–';

/** Three digits where they tell something: 0.012, 1.23, 12.3, 123, 1234. */
export function mbit(value: number | null | undefined): string {
  if (value === null || value === undefined || !Number.isFinite(value)) return nothing;
  if (value >= 99.95) return count(value);
  if (value >= 9.995) return value.toFixed(1);
  if (value >= 0.0995 || value === 0) return value === 0 ? '0' : value.toFixed(2);
  return value < 0.0005 ? '<0.001' : value.toFixed(3);
}

/** The speed of a card as people say it. */
export function speed(value: number | null | undefined): string {
  if (value === null || value === undefined) return 'speed not known';
  return value >= 1000 ? `${trimmed(value / 1000)} Gbit/s` : `${trimmed(value)} Mbit/s`;
}

const trimmed = (value: number): string => String(Math.round(value * 100) / 100);

export function percent(value: number | null | undefined): string {
  if (value === null || value === undefined || !Number.isFinite(value)) return nothing;
  if (value > 0 && value < 0.1) return '<0.1 %';
  return value < 10 ? `${Math.round(value * 10) / 10} %` : `${Math.round(value)} %`;
}

/** A whole number with thin gaps between thousands. */
export function count(value: number | null | undefined): string {
  if (value === null || value === undefined) return nothing;
  return String(Math.round(value)).replace(/\B(?=(\d{3})+$)/g, '\u202f');
}

/** A count where there is little room: 46.9 k. */
export function compact(value: number | null | undefined): string {
  if (value === null || value === undefined || value < 10_000) return count(value);
  return value < 999_950 ? `${(value / 1000).toFixed(1)} k` : `${(value / 1e6).toFixed(1)} M`;
}

/** A time span in words: 12 s, 3 min, 2 h. */
export function ago(ms: number): string {
  const seconds = Math.max(0, Math.round(ms / 1000));
  if (seconds < 90) return `${seconds} s`;
  if (seconds < 5400) return `${Math.round(seconds / 60)} min`;
  return `${Math.round(seconds / 3600)} h`;
}

/** The end of a name counts: it tells web-frontend-001 from web-frontend-002. */
export function shortName(name: string, most: number): string {
  return name.length <= most ? name : `…${name.slice(name.length - Math.max(1, most - 1))}`;
}

/** "1 connection", "2 connections". */
export const some = (n: number, word: string): string => `${count(n)} ${word}${n === 1 ? '' : 's'}`;
