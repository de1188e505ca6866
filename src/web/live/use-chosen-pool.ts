import { useEffect, useState } from 'preact/hooks';

const fromAddress = () => /^#\/pools\/([a-z0-9-]+)$/.exec(location.hash)?.[1];

export const addressOfPool = (name: string): string => `#/pools/${name}`;

/** The pool that the page's address names, or the first. */
export function useChosenPool(names: readonly string[]): string | undefined {
  const [named, setNamed] = useState(fromAddress);
  useEffect(() => {
    const look = () => setNamed(fromAddress());
    addEventListener('hashchange', look);
    return () => removeEventListener('hashchange', look);
  }, []);
  return named !== undefined && names.includes(named) ? named : names[0];
}
