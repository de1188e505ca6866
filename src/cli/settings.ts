import { homedir } from 'node:os';
import { join } from 'node:path';
import { z } from 'zod';
import { isPlainBeyondLoopback } from '../core/address.ts';

/** What a token consists of (RFC 6750, 2.1, and a little more). */
export const tokenForm = /^[\x21-\x7e]+$/;
const file = z.string().min(1, { error: 'the path of a file' });

const settingsSchema = z
  .strictObject({
    controller: z
      .string()
      .refine((text) => text.startsWith('unix:/') || (URL.canParse(text) && /^https?:$/.test(new URL(text).protocol)), {
        error:
          "the controller's URL, such as https://192.0.2.10:7100, or its socket, such as unix:/run/dsr/controller.sock",
      })
      .optional()
      .describe(
        "the controller's URL, or unix: and the path of its socket (default: unix:/run/dsr/controller.sock where it may be opened, else http://127.0.0.1:7100)",
      ),
    token: z
      .string()
      .regex(tokenForm, { error: 'a token without spaces; leave it out where there is none' })
      .optional()
      .describe('token for the controller'),
    tokenFile: file.optional().describe('file with the token in it; "-" is the standard input'),
    ca: file.optional().describe("PEM file with the authority that signed the controller's certificate"),
    caSha256: z
      .string()
      .regex(/^([0-9a-f]{2}:?){31}[0-9a-f]{2}$/i, { error: '64 hexadecimal digits, as dsrctl ca prints them' })
      .optional()
      .describe("SHA-256 of the certificate of the controller's authority, in place of the file"),
    insecure: z
      .boolean({ error: 'true or false' })
      .default(false)
      .describe('send the token over plain HTTP beyond loopback too: only where every host of that network is trusted'),
  })
  .superRefine(({ controller, token, tokenFile, insecure }, context) => {
    const path = token !== undefined ? 'token' : 'tokenFile';
    if ((token ?? tokenFile) === undefined || insecure || !URL.canParse(controller ?? '')) return;
    if (isPlainBeyondLoopback(controller ?? ''))
      context.addIssue({
        code: 'custom',
        path: [path],
        message: `it would go unencrypted to ${controller}: use https, or set "insecure": true where every host of that network is trusted`,
      });
  });

export type Settings = z.infer<typeof settingsSchema>;

/** dsrctl's settings: flags before environment before the user's own config file (XDG base directories). */
export const settingsSpec = (env: NodeJS.ProcessEnv) => ({
  name: 'dsrctl',
  configFile: join(env.XDG_CONFIG_HOME || join(env.HOME || homedir(), '.config'), 'dsrctl.json'),
  settings: settingsSchema,
});

/**
 * Of two settings that say the same in different ways, the one that holds: that of the flags before that of the
 * environment before that of the config file.
 */
export function oneOf(
  settings: Settings,
  [first, second]: readonly ['token', 'tokenFile'] | readonly ['ca', 'caSha256'],
  flags: Readonly<Record<string, unknown>>,
  env: NodeJS.ProcessEnv,
): Settings {
  const variables = { token: 'DSR_TOKEN', tokenFile: 'DSR_TOKEN_FILE', ca: 'DSR_CA', caSha256: 'DSR_CA_SHA256' };
  const levels = [flags, { [first]: env[variables[first]], [second]: env[variables[second]] }, settings];
  const level: Record<string, unknown> = levels.find((given) => (given[first] ?? given[second]) !== undefined) ?? {};
  return { ...settings, [level[first] === undefined ? first : second]: undefined };
}
