import { useEffect, useState } from 'preact/hooks';
import { access, type Standing } from './access.ts';

/** Whether somebody is signed in, and who. */
export function useStanding(): Standing {
  const [standing, setStanding] = useState(access.standing);
  useEffect(() => {
    const look = () => setStanding(access.standing());
    look();
    return access.watch(look);
  }, []);
  return standing;
}
