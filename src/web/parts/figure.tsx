import { useContext } from 'preact/hooks';
import { nothing } from '../text/format.ts';
import { Live } from './live.ts';

/** A figure with its unit; a dash when it is not live. */
export function Figure({ value, unit }: { value: string; unit?: string }) {
  const shown = useContext(Live) ? value : nothing;
  return (
    <span class="figure">
      {shown}
      {unit && <span class="unit"> {unit}</span>}
    </span>
  );
}

/** A figure for text inside the picture. */
export const useFigure = () => {
  const live = useContext(Live);
  return (value: string) => (live ? value : nothing);
};
