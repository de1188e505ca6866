import type { Outcome } from '../../core/health.ts';

export const ok = (words: string): Outcome => ({ kind: 'ok', words });
export const wrong = (words: string): Outcome => ({ kind: 'wrong', words });
export const broken = (words: string): Outcome => ({ kind: 'broken', words });

const MAX_WORDS = 200;

/** Bytes that stand for themselves as text: protocols, and programs whose encoding nobody knows. */
export const latin1 = (bytes: Uint8Array, max = bytes.length): string =>
  Buffer.from(bytes.buffer, bytes.byteOffset, Math.min(bytes.length, max)).toString('latin1');

/**
 * Foreign text in quotation marks, at most `max` characters of it. What is no letter, digit, mark or sign is escaped, so
 * that it can neither end the line nor change how a terminal shows the rest.
 */
export function quote(text: string, max = 60): string {
  const short = text.length > max ? `${text.slice(0, max)}…` : text;
  return `"${short.replace(/["\\]|[^\p{L}\p{N}\p{P}\p{S} ]/gu, escapeOne)}"`;
}

function escapeOne(character: string): string {
  const named = { '"': '\\"', '\\': '\\\\', '\n': '\\n', '\r': '\\r', '\t': '\\t' }[character];
  const code = character.codePointAt(0) ?? 0;
  return named ?? (code < 0x100 ? `\\x${code.toString(16).padStart(2, '0')}` : `\\u{${code.toString(16)}}`);
}

/** The same outcome with words that fit one line of a status: at most 200 characters, none of them a control character. */
export function tidy(outcome: Outcome): Outcome {
  const plain = outcome.words.replace(/[\p{C}\p{Zl}\p{Zp}]+/gu, ' ');
  const words = plain.length > MAX_WORDS ? `${plain.slice(0, MAX_WORDS - 1).replace(/[\ud800-\udbff]$/, '')}…` : plain;
  return words === outcome.words ? outcome : { ...outcome, words };
}
