// Something that listens, where a test needs no more.
import type { Host, Program } from '../../infra/lab/host.ts';

/** Listens on these ports, such as "80/tcp", of all addresses: closes every connection at once, reads every datagram. */
export function startListeners(host: Host, ports: Iterable<string>): Program {
  const code = `const net = require('node:net'), dgram = require('node:dgram');
for (const key of ${JSON.stringify([...new Set(ports)])}) {
  const [port, protocol] = key.split('/');
  if (protocol === 'tcp') net.createServer((socket) => socket.on('error', () => {}).destroy()).listen(+port, '::');
  else dgram.createSocket('udp6').bind(+port, '::');
}`;
  return host.spawn('listeners', [process.execPath, '-e', code]);
}
