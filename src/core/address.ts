import ipaddr from 'ipaddr.js';

export type Family = 'ipv4' | 'ipv6';

/** Whether `text` is an IPv4 address in dotted form or an IPv6 address without zone (RFC 4291); no other spelling. */
export function isAddress(text: string): boolean {
  return (
    ipaddr.IPv4.isValidFourPartDecimal(text) || (text.includes(':') && !text.includes('%') && ipaddr.IPv6.isValid(text))
  );
}

/** The one spelling the project uses: dotted IPv4, RFC 5952 IPv6. Text that is no address comes back as it is. */
export function canonical(text: string): string {
  if (!isAddress(text)) return text;
  const parsed = ipaddr.parse(text);
  return parsed.kind() === 'ipv4' ? parsed.toString() : (parsed as ipaddr.IPv6).toRFC5952String();
}

export function familyOf(address: string): Family {
  return address.includes(':') ? 'ipv6' : 'ipv4';
}

/** Prefix length that covers one address of its family: 32 or 128. */
export function hostPrefix(address: string): 32 | 128 {
  return familyOf(address) === 'ipv4' ? 32 : 128;
}

/** The address in network byte order: 4 or 16 bytes. */
export function toBytes(address: string): Uint8Array {
  return Uint8Array.from(ipaddr.parse(address).toByteArray());
}

/** The reverse of {@link toBytes}, in canonical spelling. */
export function fromBytes(bytes: Uint8Array): string {
  return canonical(ipaddr.fromByteArray(Array.from(bytes)).toString());
}

/** Why a host cannot hold or answer for this address as one unicast host, or undefined when it can (IANA special-purpose registries). */
export function notUnicast(address: string): string | undefined {
  const range = ipaddr.parse(address).range();
  switch (range) {
    case 'unspecified':
      return 'an unspecified address';
    case 'broadcast':
    case 'multicast':
    case 'loopback':
      return `a ${range} address`;
    case 'linkLocal':
      return 'a link-local address';
    case 'ipv4Mapped':
      return 'an IPv4 address in IPv6 spelling';
    default:
      return undefined;
  }
}

/** Whether `address` lies in the network `cidr` ("192.0.2.0/24"). False when the families differ. */
export function inNetwork(address: string, cidr: string): boolean {
  const [network, prefix] = ipaddr.parseCIDR(cidr);
  const parsed = ipaddr.parse(address);
  return parsed.kind() === network.kind() && parsed.match([network, prefix] as never);
}

/** Whether `text` is a network in CIDR spelling, such as 192.0.2.0/24. */
export function isNetwork(text: string): boolean {
  const [address = '', prefix = '', ...rest] = text.split('/');
  if (rest.length > 0 || !isAddress(address) || !/^\d{1,3}$/.test(prefix)) return false;
  return Number(prefix) <= hostPrefix(address);
}

/** "192.0.2.100:80" or "[2001:db8::100]:80". */
export function withPort(address: string, port: number): string {
  return familyOf(address) === 'ipv4' ? `${address}:${port}` : `[${address}]:${port}`;
}

/** Whether a URL leads beyond this host without encryption. */
export function isPlainBeyondLoopback(url: string): boolean {
  const { protocol, hostname } = new URL(url);
  const bare = hostname.replace(/^\[|\]$/g, '');
  return (
    protocol === 'http:' && bare !== 'localhost' && !(isAddress(bare) && notUnicast(bare) === 'a loopback address')
  );
}
