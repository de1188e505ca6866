import { RE2JS } from 're2js';
import type { TextMatch } from '../../check-schema.ts';
import { quote } from './outcomes.ts';

// Compiling takes longer than most searches, and a check is one object for as long as it is set.
const compiled = new WeakMap<TextMatch, RE2JS>();

/** Whether `text` is what `match` asks for. */
export function fits(match: TextMatch, text: string): boolean {
  if ('contains' in match) return text.includes(match.contains);
  let pattern = compiled.get(match);
  if (!pattern) {
    pattern = RE2JS.compile(match.matches);
    compiled.set(match, pattern);
  }
  return pattern.matcher(text).find();
}

/** What is looked for, in words: "text" or a match of "expression". */
export const soughtBy = (match: TextMatch): string =>
  'contains' in match ? quote(match.contains, 40) : `match of ${quote(match.matches, 40)}`;
