import type { Answer } from 'dns-packet';
import { canonical } from '../../core/address.ts';

/** A record's data as zone files write it (RFC 1035 section 5.1), names without the last dot, TXT without quotation marks. */
export function textOf(answer: Answer): string {
  switch (answer.type) {
    case 'A':
    case 'AAAA':
      return canonical(answer.data);
    case 'CNAME':
    case 'NS':
    case 'PTR':
      return answer.data;
    case 'MX':
      return `${answer.data.preference} ${answer.data.exchange}`;
    case 'SRV':
      return `${answer.data.priority} ${answer.data.weight} ${answer.data.port} ${answer.data.target}`;
    case 'SOA': {
      const { mname, rname, serial, refresh, retry, expire, minimum } = answer.data;
      return `${mname} ${rname} ${serial} ${refresh} ${retry} ${expire} ${minimum}`;
    }
    case 'TXT':
      return [answer.data].flat().map(String).join('');
    default:
      return '';
  }
}

/** Names are equal in any case of their letters (RFC 4343), with or without the last dot. */
export const sameName = (one: string, other: string): boolean => folded(one) === folded(other);

/** Whether a record's text is the wanted one, in any spelling of addresses and names. */
export function sameRecord(type: Answer['type'], text: string, wanted: string): boolean {
  if (type === 'TXT') return text === wanted || text === wanted.replace(/^"(.*)"$/, '$1');
  if (type === 'A' || type === 'AAAA') return text === canonical(wanted);
  return folded(text) === folded(wanted);
}

/** Without the dot that ends any of its names. */
const folded = (text: string): string => text.toLowerCase().replace(/\.(?= |$)/g, '');
