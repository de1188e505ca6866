// What a client at the far end of the lab gets.
import type { Host } from '../../infra/lab/host.ts';

export interface Fetched {
  status: number;
  servedBy: string;
  bytes: number;
}

const url = (address: string, port: number): string =>
  `http://${address.includes(':') ? `[${address}]` : address}:${port}`;

/** Fetches /images/1.jpg some times over one or each over a connection of its own. Throws when one fails. */
export async function fetchImages(client: Host, address: string, times: number, port = 80): Promise<Fetched[]> {
  const { stdout } = await client.exec([
    ...['curl', '--silent', '--show-error', '--globoff', '--max-time', '20', '--header', 'Connection: close'],
    ...Array.from({ length: times }, () => [`${url(address, port)}/images/1.jpg`, '-o', '/dev/null']).flat(),
    ...['--dump-header', '-', '--write-out', 'bytes: %{size_download}\\n'],
  ]);
  return stdout
    .split(/^HTTP\//m)
    .slice(1)
    .map((text) => ({
      status: Number(/^\S+ (\d+)/.exec(text)?.[1]),
      servedBy: /^x-served-by: *(\S+)/im.exec(text)?.[1] ?? '',
      bytes: Number(/^bytes: (\d+)/m.exec(text)?.[1]),
    }));
}

export const longBytes = 40_000_000;

/** Puts a file on a real server that is larger than what two kernels buffer of it: /images/long.jpg. */
export async function addLongImage(host: Host): Promise<void> {
  await host.exec(['truncate', '-s', String(longBytes), `${host.dir}/www/images/long.jpg`]);
}

export interface Download {
  servedBy: string;
  /** Reads on, and gives how many bytes came in all; fewer than `longBytes` when it broke off. */
  finish: () => Promise<number>;
}

/** Begins to fetch /images/long.jpg from port 80 and goes on slowly, at 60 kB/s, until told to finish. */
export async function beginDownload(client: Host, address: string): Promise<Download> {
  const script = `exec 3<>/dev/tcp/${address}/80
printf 'GET /images/long.jpg HTTP/1.0\\r\\n\\r\\n' >&3
while read -r -u 3 line && line=\${line%$'\\r'} && [ "$line" ]; do
  case $line in X-Served-By:*) echo \${line#*: } ;; esac
done
sum=0
until read -r -t 5 || [ $? -le 128 ]; do sum=$((sum + $(head -c 300000 <&3 | wc -c))); done
echo $((sum + $(timeout 60 cat <&3 | wc -c)))`;
  const bash = client.exec(['bash', '-c', script], { reject: false });
  const servedBy = await new Promise<string>((resolve) => {
    bash.stdout?.once('data', (chunk: Buffer) => resolve(chunk.toString().trim()));
    void bash.then(() => resolve(''));
  });
  return {
    servedBy,
    finish: async () => {
      bash.stdin?.end('\n');
      return Number((await bash).stdout.split('\n').at(-1));
    },
  };
}

/** Body of one page. Throws when it cannot be had. */
export async function fetchPage(client: Host, address: string, port: number): Promise<string> {
  const page = ['curl', '--silent', '--show-error', '--fail', '--globoff', '--max-time', '20'];
  const { stdout } = await client.exec([...page, `${url(address, port)}/`]);
  return stdout;
}

/** Sends a datagram from a new port and gives the answer, or "" when none comes within two seconds. */
export async function askUdp(client: Host, address: string, port: number): Promise<string> {
  const ask = `exec 3<>/dev/udp/${address}/${port}; echo hello >&3; timeout 2 dd bs=2000 count=1 <&3 2>/dev/null`;
  const { stdout } = await client.exec(['bash', '-c', ask], { reject: false });
  return stdout.trim();
}

/** Answers every datagram to these addresses with the host's name. They must be on the host. */
export function startUdpEcho(host: Host, addresses: string[], port: number) {
  const echo = `const { createSocket } = require('node:dgram');
for (const address of ${JSON.stringify(addresses)}) {
  const socket = createSocket(address.includes(':') ? 'udp6' : 'udp4');
  socket.on('message', (_, from) => socket.send('${host.name}', from.port, from.address));
  socket.bind(${port}, address, () => console.log('listening'));
}`;
  return host.spawn('udp-echo', [process.execPath, '-e', echo]);
}
