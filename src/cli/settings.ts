import { homedir } from 'node:os';
import { join } from 'node:path';
import { z } from 'zod';
import { isAddress, notUnicast } from '../core/address.ts';

const settingsSchema = z
  .strictObject({
    controller: z
      .url({ protocol: /^https?$/, error: "the controller's URL, such as http://192.0.2.10:7100" })
      .default('http://127.0.0.1:7100')
      .describe("the controller's URL (default: http://127.0.0.1:7100)"),
    token: z
      .string()
      .regex(/^[\x21-\x7e]+$/, { error: 'a token without spaces; leave it out where there is none' })
      .optional()
      .describe('token for the controller'),
    insecure: z
      .boolean({ error: 'true or false' })
      .default(false)
      .describe('send the token over plain HTTP beyond loopback too: only where every host of that network is trusted'),
  })
  .superRefine(({ controller, token, insecure }, context) => {
    if (token === undefined || insecure || !URL.canParse(controller)) return;
    const { protocol, hostname } = new URL(controller);
    const bare = hostname.replace(/^\[|\]$/g, '');
    const loopback = bare === 'localhost' || (isAddress(bare) && notUnicast(bare) === 'a loopback address');
    if (protocol === 'http:' && !loopback)
      context.addIssue({
        code: 'custom',
        path: ['token'],
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
