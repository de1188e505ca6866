import { useEffect } from 'preact/hooks';

/** What the browser's tab says: what is wrong, if anything, before the name. A hidden page knows of nothing. */
export function usePageTitle(trouble: string): void {
  useEffect(() => {
    const tell = () => {
      document.title = trouble === '' || document.hidden ? 'dsr-controller' : `${trouble} · dsr-controller`;
    };
    tell();
    document.addEventListener('visibilitychange', tell);
    return () => document.removeEventListener('visibilitychange', tell);
  }, [trouble]);
}
