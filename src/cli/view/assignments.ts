import { isObject } from './tree.ts';

/**
 * The JSON merge patch (RFC 7396) of words such as "weight=50" or "ports.80/tcp.scheduler=rr". A value is read as JSON
 * where it is some, else as text; null takes the member out. The word that is none of these when there is one.
 */
export function patchOf(words: readonly string[]): { patch: Record<string, unknown> } | { wrong: string } {
  const patch: Record<string, unknown> = {};
  for (const word of words) {
    const at = word.indexOf('=');
    const keys = word.slice(0, at).split('.');
    const last = keys.pop();
    if (at < 1 || !last || keys.includes('') || [...keys, last].includes('__proto__')) return { wrong: word };
    let inside = patch;
    for (const key of keys) {
      const next = Object.hasOwn(inside, key) ? inside[key] : {};
      if (!isObject(next)) return { wrong: word };
      inside[key] = next;
      inside = next;
    }
    inside[last] = dataOf(word.slice(at + 1));
  }
  return { patch };
}

function dataOf(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return text;
  }
}
