/** How a piece of text looks on a terminal with colours; without them it is the same text. */
export type Style = 'bold' | 'dim' | 'red' | 'green' | 'yellow' | 'cyan';

export interface Styled {
  style: Style;
  text: string;
}
export type Span = string | Styled;
/** One line for people. Escape sequences come from its styles alone: text that holds some is shown, never obeyed. */
export type Line = Span | readonly Span[];

export const styled = (style: Style, text: string): Styled => ({ style, text });
export const bold = (text: string): Styled => styled('bold', text);
export const dim = (text: string): Styled => styled('dim', text);

const unseen = /[\p{Cc}\p{Cf}\p{Cs}\p{Zl}\p{Zp}]/gu;
const codeOf = (character: string) => (character.codePointAt(0) ?? 0).toString(16);

/** The text with its control and format characters written out, such as \u{1b}. */
export const visible = (text: string): string => text.replace(unseen, (character) => `\\u{${codeOf(character)}}`);

/** The text without the secrets of tokens: their ids stay. */
export const withoutSecrets = (text: string): string => text.replace(/(dsr_[0-9a-f]{16})_[\w-]{20,}/g, '$1_…');

/** JSON in which everything that a terminal might obey is escaped. */
export const jsonText = (value: unknown, indent?: number): string =>
  JSON.stringify(value, null, indent).replace(/(?!\n)[\p{Cc}\p{Cf}\p{Cs}\p{Zl}\p{Zp}]/gu, (character) =>
    [...Array(character.length).keys()]
      .map((i) => `\\u${character.charCodeAt(i).toString(16).padStart(4, '0')}`)
      .join(''),
  );

export const spansOf = (line: Line): readonly Span[] => (Array.isArray(line) ? line : [line as Span]);
export const textOf = (line: Line): string =>
  spansOf(line)
    .map((span) => visible(typeof span === 'string' ? span : span.text))
    .join('');
/** Characters that the line takes. */
export const widthOf = (line: Line): number => [...textOf(line)].length;

const codes: Record<Style, number> = { bold: 1, dim: 2, red: 31, green: 32, yellow: 33, cyan: 36 };

/** The line as it is written, without its end. */
export function render(line: Line, colours: boolean): string {
  return spansOf(line)
    .map((span) => {
      if (typeof span === 'string') return visible(span);
      const text = visible(span.text);
      return colours && text ? `\u001b[${codes[span.style]}m${text}\u001b[0m` : text;
    })
    .join('');
}

/** The beginning of the line, where it is wider than this. */
export function clip(line: Line, width: number): Line {
  if (widthOf(line) <= width) return line;
  let left = Math.max(0, width - 1);
  const kept: Span[] = [];
  for (const span of spansOf(line)) {
    const text = [...visible(typeof span === 'string' ? span : span.text)].slice(0, left).join('');
    left -= [...text].length;
    kept.push(typeof span === 'string' ? text : { ...span, text });
  }
  return width > 0 ? [...kept, '…'] : '';
}
