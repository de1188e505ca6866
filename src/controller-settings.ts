import { z } from 'zod';
import { canonical, familyOf, isAddress, notUnicast } from './core/address.ts';
import { commonSettings, interfaceName, speedMbit } from './settings.ts';

const settingsSchema = z.strictObject({
  interface: interfaceName.describe('network interface that the VIPs go on, such as eth0'),
  speedMbit,
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
    .describe('address and port of the REST API; beyond loopback it is HTTPS (default: 127.0.0.1:7100)'),
  socket: z
    .string()
    .refine((text) => text === '' || text.startsWith('/'), { error: 'an absolute path; "" for none' })
    .default('/run/dsr/controller.sock')
    .describe(
      'Unix socket of the REST API for root on this host, without a token; "" for none (default: /run/dsr/controller.sock)',
    ),
  tlsNames: z
    .array(z.string().regex(/^[A-Za-z0-9.:-]{1,253}$/, { error: 'host names or addresses' }))
    .max(50)
    .default([])
    .describe('further names and addresses that clients call this host by, for its certificate'),
  probe: z
    .strictObject({
      link: z
        .enum(['ipvlan', 'macvlan'], { error: '"ipvlan" or "macvlan"' })
        .default('ipvlan')
        .describe(
          'how probes leave by the interface: ipvlan shares its MAC, macvlan has one of its own (default: ipvlan)',
        ),
      address: z
        .preprocess(
          (value) => (typeof value === 'string' ? [value] : value),
          z
            .array(
              z
                .string()
                .refine((text) => isAddress(text) && !notUnicast(text), { error: 'an address such as 192.0.2.9' })
                .overwrite(canonical),
            )
            .refine((list) => new Set(list.map(familyOf)).size === list.length, {
              error: 'at most one address of each family',
            }),
        )
        .default([])
        .describe(
          'spare address on the network of the real servers that probes come from, or two, one of each family; needed for real servers without an agent (default: addresses that the agents make a route to)',
        ),
    })
    .prefault({}),
  programs: z
    .record(
      z.string().regex(/^[a-z0-9][a-z0-9-]{0,62}$/, { error: 'a name of lower-case letters, digits and hyphens' }),
      z.array(z.string()).refine(([path]) => path?.startsWith('/'), { error: 'an absolute path, then arguments' }),
    )
    .default({})
    .describe('programs for checks of type "exec": by name, the absolute path and its arguments (config file only)'),
  webhooks: z
    .array(
      z.strictObject({
        url: z.url({ protocol: /^https?$/, error: 'a URL such as https://hooks.example.com/dsr' }),
        secret: z.string().regex(/^whsec_[A-Za-z0-9+/]{32,}={0,2}$/, {
          error: '"whsec_" and at least 24 random bytes in base64 (openssl rand -base64 24)',
        }),
      }),
    )
    .max(10)
    .default([])
    .describe('where events are posted, signed as Standard Webhooks says: "url" and "secret" (config file only)'),
  ...commonSettings,
});

export const controllerSpec = {
  name: 'dsr-controller',
  summary: 'Programs this host, the director, for Direct Server Return, from pools managed over a REST API.',
  configFile: '/etc/dsr/controller.json',
  settings: settingsSchema,
  commands: {
    teardown: 'puts this host back as it was before the controller, and ends',
    doctor: 'looks this host over and says what is wrong and what to do; exit code 1 when there is a problem',
  },
  options: { fix: 'with doctor: mends what is safe to mend' },
};

/** Host and port of a `listen` setting. */
export function parseListen(text: string): { host: string; port: number } | undefined {
  const match = /^(?:\[([^\]]+)\]|([^:]+)):(\d{1,5})$/.exec(text);
  const host = match?.[1] ?? match?.[2] ?? '';
  const port = Number(match?.[3]);
  return match && isAddress(host) && port <= 65535 ? { host, port } : undefined;
}
