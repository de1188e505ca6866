/**
 * The weight of a destination by what /proc/net/ip_vs says, which is quicker to read than a program is started;
 * undefined: there is no such destination.
 */
export function weightIn(text: string, vip: string, port: number, realServer: string): number | undefined {
  const [service, destination] = [vip, realServer].map((address) => `${hex(address)}:${digits(port)}`);
  const entries = text.split(/^(?=TCP|UDP|FWM)/m).find((part) => part.startsWith(`TCP  ${service} `));
  const [, weight] = new RegExp(`-> ${destination} +\\S+ +(\\d+)`).exec(entries ?? '') ?? [];
  return weight === undefined ? undefined : Number(weight);
}

const digits = (port: number) => port.toString(16).padStart(4, '0').toUpperCase();

function hex(address: string): string {
  const parts = address.split('.').map((part) => Number(part).toString(16).padStart(2, '0'));
  return parts.join('').toUpperCase();
}
