/** A request that is refused, with the status to answer it with. */
export interface BadRequest {
  kind: 'bad';
  status: 400 | 414 | 431 | 501 | 505;
  reason: string;
}

export const bad = (status: BadRequest['status'], reason: string): BadRequest => ({ kind: 'bad', status, reason });
