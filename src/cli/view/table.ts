import { bold, type Line, type Span, widthOf } from './text.ts';

/** Rows under a head; a column whose head begins with ">" is aligned to the right. The last one is not padded. */
export function table(head: readonly string[], rows: readonly (readonly Span[])[]): Line[] {
  const right = head.map((name) => name.startsWith('>'));
  const names = head.map((name, i) => bold(right[i] ? name.slice(1) : name));
  const widths = head.map((_, i) => Math.max(...[names, ...rows].map((row) => widthOf(row[i] ?? ''))));
  return [names, ...rows].map((row) =>
    head.flatMap((_, i): Span[] => {
      const cell = row[i] ?? '';
      const space = ' '.repeat((widths[i] ?? 0) - widthOf(cell));
      const gap = i === 0 ? '' : '  ';
      if (right[i]) return [gap + space, cell];
      return i === head.length - 1 ? [gap, cell] : [gap, cell, space];
    }),
  );
}
