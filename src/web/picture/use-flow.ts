import type { RefObject } from 'preact';
import { useEffect, useRef } from 'preact/hooks';

/** Length of one grain and the gap after it, pixels. */
export const period = 76;

/** Calm movement needs no more pictures a second, and each costs the whole screen's painting. */
const everyMs = 40;

/** Moves the grains below an element, each at its own speed (data-speed, pixels a second), while they are seen. */
export function useFlow<T extends Element>(): RefObject<T | null> {
  const ref = useRef<T>(null);
  useEffect(() => {
    if (matchMedia('(prefers-reduced-motion: reduce)').matches) return;
    let last = performance.now();
    const move = () => {
      const now = performance.now();
      const seconds = (now - last) / 1000;
      last = now;
      if (!ref.current?.checkVisibility({ contentVisibilityAuto: true })) return;
      for (const grains of ref.current.querySelectorAll<SVGPathElement>('[data-speed]')) {
        const speed = Number(grains.dataset.speed);
        if (speed === 0) continue;
        const at = Number.parseFloat(grains.style.strokeDashoffset || '0');
        grains.style.strokeDashoffset = ((at - speed * seconds) % period).toFixed(1);
      }
    };
    const timer = setInterval(move, everyMs);
    return () => clearInterval(timer);
  }, []);
  return ref;
}
