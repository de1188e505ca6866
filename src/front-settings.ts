import { z } from 'zod';
import { commonSettings } from './settings.ts';
import { splitOrigin } from './url-schema.ts';

const settingsSchema = z
  .strictObject({
    controller: z
      .string()
      .refine((text) => /^unix:\//.test(text) || /^https?:\/\/./.test(text), {
        error: 'unix:/path/of.sock, or a URL',
      })
      .default('unix:/run/dsr/controller.sock')
      .describe(
        "the controller's socket for root, as unix:/path/of.sock (default: unix:/run/dsr/controller.sock); a URL only with insecure",
      ),
    link: z
      .string()
      .refine((text) => splitOrigin(text) !== undefined, { error: 'an address with a port, such as 192.0.2.10:7101' })
      .optional()
      .describe(
        'address and port of this host that agents reach, such as 192.0.2.10:7101; without it nothing is handed over',
      ),
    ...commonSettings,
  })
  .superRefine(({ controller, insecure }, context) => {
    if (!controller.startsWith('unix:') && !insecure)
      context.addIssue({
        code: 'custom',
        path: ['controller'],
        message: 'the secrets of agents come from there: name its socket, or set "insecure": true for tests',
      });
  });

export const frontSpec = {
  name: 'dsr-front',
  summary:
    'Reads the requests of ports with a URL policy of engine handoff or redirect, on the director, and has each answered by whom its URL belongs to.',
  configFile: '/etc/dsr/front.json',
  settings: settingsSchema,
  commands: {},
};
