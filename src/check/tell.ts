import type { Finding, Health } from '../core/health.ts';

/** Words that change alone are told this often at most. */
const WORDS_MS = 1000;

/** What was told of a target last, and when on the steady clock. */
export interface Told {
  health: Finding['health'];
  at: number;
}

/** What to tell of a health now; undefined when it is no news. Nothing was told yet: `told` is undefined. */
export function newsOf(health: Health, told: Told | undefined, steady: number): Finding['health'] | undefined {
  const { streak: _, ...news } = health;
  if (!told) return news;
  const { health: old } = told;
  const changed =
    news.verdict !== old.verdict || news.hard !== old.hard || news.certificateExpires !== old.certificateExpires;
  if (changed) return news;
  return news.words !== old.words && steady - told.at >= WORDS_MS ? news : undefined;
}
