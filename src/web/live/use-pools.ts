import { useEffect, useState } from 'preact/hooks';
import type { Pools } from '../../schema.ts';
import { call } from '../api/call.ts';

export interface PoolsDocument {
  revision: number;
  pools: Pools;
}

const againMs = 2000;

/**
 * All pools as they are stored, read again with each new key: the stored revision, and the connection it was told over,
 * since another controller may have the same revision of other pools.
 */
export function usePools(key: string): PoolsDocument | undefined {
  const [document, setDocument] = useState<PoolsDocument>();
  useEffect(() => {
    let wanted = true;
    const read = () =>
      call<PoolsDocument>('GET', '/v1/pools').then(
        ({ body }) => wanted && setDocument(body),
        () => wanted && setTimeout(() => wanted && read(), againMs),
      );
    read();
    return () => {
      wanted = false;
    };
  }, [key]);
  return document;
}
