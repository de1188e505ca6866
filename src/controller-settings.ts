import { z } from 'zod';
import { isAddress, notUnicast } from './core/address.ts';
import { commonSettings, interfaceName } from './settings.ts';

const settingsSchema = z
  .strictObject({
    interface: interfaceName.describe('network interface that the VIPs go on, such as eth0'),
    manageVip: z
      .boolean({ error: 'true or false' })
      .default(true)
      .describe('put the VIPs on the interface; false where keepalived or another owner moves them (default: true)'),
    listen: z
      .string()
      .refine((text) => parseListen(text) !== undefined, {
        error: 'an address with a port, such as 127.0.0.1:7100 or [::1]:7100',
      })
      .default('127.0.0.1:7100')
      .describe('address and port of the REST API (default: 127.0.0.1:7100)'),
    ...commonSettings,
  })
  .superRefine(({ listen, insecure }, context) => {
    const at = parseListen(listen);
    if (at && !insecure && notUnicast(at.host) !== 'a loopback address')
      context.addIssue({
        code: 'custom',
        path: ['listen'],
        message: `${listen} is beyond loopback, which needs TLS and tokens, and this version has none yet: listen on 127.0.0.1:7100, or set "insecure": true where every host of that network is trusted`,
      });
  });

export const controllerSpec = {
  name: 'dsr-controller',
  summary: 'Programs this host, the director, for Direct Server Return, from pools managed over a REST API.',
  configFile: '/etc/dsr/controller.json',
  settings: settingsSchema,
  commands: { teardown: 'puts this host back as it was before the controller, and ends' },
};

/** Host and port of a `listen` setting. */
export function parseListen(text: string): { host: string; port: number } | undefined {
  const match = /^(?:\[([^\]]+)\]|([^:]+)):(\d{1,5})$/.exec(text);
  const host = match?.[1] ?? match?.[2] ?? '';
  const port = Number(match?.[3]);
  return match && isAddress(host) && port <= 65535 ? { host, port } : undefined;
}
