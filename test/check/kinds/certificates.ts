import { generate } from 'selfsigned';

const day = 86_400_000;

export interface Pair {
  key: string;
  cert: string;
}

interface Wanted {
  name?: string;
  /** Names and addresses that it is for. */
  names?: string[];
  addresses?: string[];
  /** Signs others. */
  authority?: boolean;
  by?: Pair;
  /** Days from now. */
  from?: number;
  until?: number;
}

/** Makes a certificate and its key. */
export async function certificate(wanted: Wanted): Promise<Pair> {
  const { name = 'test', names = [], addresses = [], authority = false, by, from = -1, until = 1 } = wanted;
  const { private: key, cert } = await generate([{ name: 'commonName', value: name }], {
    keyType: 'ec',
    algorithm: 'sha256',
    notBeforeDate: new Date(Date.now() + from * day),
    notAfterDate: new Date(Date.now() + until * day),
    extensions: [
      { name: 'basicConstraints', cA: authority, critical: true },
      authority ? { name: 'keyUsage', keyCertSign: true } : { name: 'keyUsage', digitalSignature: true },
      ...(names.length + addresses.length > 0 ? [altNames(names, addresses)] : []),
    ],
    ...(by && { ca: by }),
  });
  return { key, cert };
}

const altNames = (names: string[], addresses: string[]) => ({
  name: 'subjectAltName' as const,
  altNames: [
    ...names.map((value) => ({ type: 2 as const, value })),
    ...addresses.map((ip) => ({ type: 7 as const, ip })),
  ],
});
