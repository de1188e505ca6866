/** Sysctls of IPVS that the promises of this software need, each with its reason (Documentation/networking/ipvs-sysctl.rst). */
export const ipvsSysctls: readonly { key: string; value: string; reason: string }[] = [
  {
    key: 'net.ipv4.vs.expire_nodest_conn',
    value: '1',
    reason: 'a client whose real server is deleted is told at once (RST) and connects again, where it would hang',
  },
  {
    key: 'net.ipv4.vs.expire_quiescent_template',
    value: '1',
    reason:
      'persistence does not send clients back to a real server of weight 0: a drain ends, a dead server loses its clients',
  },
  {
    key: 'net.ipv4.vs.conn_reuse_mode',
    value: '1',
    reason:
      'a new connection from a port that was used a moment ago is scheduled anew, not sent to a server that has gone',
  },
  {
    key: 'net.ipv4.vs.sloppy_tcp',
    value: '0',
    reason:
      'a connection that this director does not know is refused, where it would be given to a server that does not know it either',
  },
];
