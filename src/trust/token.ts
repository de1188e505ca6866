import { createHash, randomBytes, timingSafeEqual } from 'node:crypto';

/** dsr_ID_SECRET: the id names it in lists and logs, the secret (256 bits) is shown once and never stored. */
const form = /^dsr_([0-9a-f]{16})_([\w-]{43})$/;

export interface Token {
  id: string;
  secret: string;
}

/** A token that nobody can guess. */
export const newToken = (): Token => ({
  id: randomBytes(8).toString('hex'),
  secret: randomBytes(32).toString('base64url'),
});

export const textOf = ({ id, secret }: Token): string => `dsr_${id}_${secret}`;

/** Undefined when it is no token. */
export function parseToken(text: string): Token | undefined {
  const [, id, secret] = form.exec(text) ?? [];
  return id !== undefined && secret !== undefined ? { id, secret } : undefined;
}

/** SHA-256, hexadecimal: enough for a secret that was drawn, which no list of passwords has. */
export const hashOf = (secret: string): string => createHash('sha256').update(secret).digest('hex');

/** Whether the secret has this hash; takes as long either way. */
export const fits = (secret: string, hash: string): boolean => {
  const [a, b] = [Buffer.from(hashOf(secret), 'hex'), Buffer.from(hash, 'hex')];
  return a.length === b.length && timingSafeEqual(a, b);
};
