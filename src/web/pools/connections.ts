import type { ServerDetail } from '../live/status.ts';

/** Connections that IPVS counts to a real server as established, over all ports. */
export const connectionsOf = ({ actual }: Pick<ServerDetail, 'actual'>): number =>
  Object.values(actual).reduce((sum, { activeConnections }) => sum + activeConnections, 0);
