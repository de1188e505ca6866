import type { detailOf, summaryOf } from '../../core/status.ts';

/** One pool in full. */
export type PoolDetail = NonNullable<ReturnType<typeof detailOf>>;
export type PortDetail = PoolDetail['ports'][string];
export type ServerDetail = PoolDetail['realServers'][string];

/** What each message of GET /v1/status/stream carries. */
export interface Status extends ReturnType<typeof summaryOf> {
  storedRevision: number;
  reconciledRevision: number;
  problems: string[];
  /** The pool that was asked for; left out when there is none of that name any more. */
  detail?: PoolDetail;
}
