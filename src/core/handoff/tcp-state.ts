/** The two ends of a TCP connection, as its server sees them. */
export interface Tuple {
  vip: string;
  port: number;
  client: string;
  clientPort: number;
}

export const tupleKey = ({ vip, port, client, clientPort }: Tuple): string => `${vip} ${port} ${client} ${clientPort}`;

/** struct tcp_repair_window (linux/tcp.h). */
export interface TcpWindow {
  sendUpdate: number;
  send: number;
  most: number;
  receive: number;
  receiveUpdate: number;
}

/** Of an idle TCP connection whatever its other end would notice if it were different: all that moves it to another host. */
export interface TcpState {
  /** Sequence numbers. */
  receiveNext: number;
  sendNext: number;
  /** Largest segment that the client takes, bytes. */
  segment: number;
  selectiveAcks: boolean;
  /** Window scales, powers of two; null where the client knows none. */
  scale: { send: number; receive: number } | null;
  /** This end's clock in TCP timestamps, milliseconds; null where the client knows none. */
  timestamp: number | null;
  window: TcpWindow;
  /** The client has sent its FIN: no more comes, and an answer may still go. */
  ended: boolean;
}
