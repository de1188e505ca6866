import { hostname } from 'node:os';
import { z } from 'zod';
import { isNetwork, isPlainBeyondLoopback } from '../src/core/address.ts';
import { nameSchema } from '../src/schema.ts';
import { commonSettings, interfaceName, speedMbit } from '../src/settings.ts';
import { splitOrigin } from '../src/url-schema.ts';

const settingsSchema = z
  .strictObject({
    controller: z
      .url({ protocol: /^https?$/, error: "the controller's URL, such as http://192.0.2.10:7100" })
      .describe("URL of the director's controller, such as http://192.0.2.10:7100"),
    name: nameSchema
      .prefault(hostname().split('.')[0]?.toLowerCase() ?? '')
      .describe("this real server's name in the pools (default: the host's name)"),
    interface: interfaceName
      .optional()
      .describe("interface that carries this real server's address (default: found by that address)"),
    speedMbit,
    token: z
      .string()
      .min(1, { error: 'a token; leave it out where there is none' })
      .optional()
      .describe('token for the controller (default: the one that dsr-agent join was given)'),
    allowedVips: z
      .array(z.string().refine(isNetwork, { error: 'a network such as 192.0.2.0/24' }))
      .optional()
      .describe("networks that a VIP may lie in, such as 192.0.2.0/24 (default: any VIP of the controller's pools)"),
    shutdownDrainMs: z
      .number({ error: 'milliseconds' })
      .int()
      .min(0)
      .max(3_600_000)
      .default(30_000)
      .describe('how long a shutdown of this host waits for connections to end, milliseconds (default: 30000)'),
    handoff: z
      .strictObject({
        root: z
          .string()
          .startsWith('/', { error: 'an absolute path' })
          .optional()
          .describe('folder of the files that this host sends on connections that the front hands over'),
        server: z
          .string()
          .refine((text) => splitOrigin(text) !== undefined, {
            error: 'an address with a port, such as 127.0.0.1:8080',
          })
          .optional()
          .describe('or the web server of this host that answers them, such as 127.0.0.1:8080'),
        frontPort: z
          .number({ error: 'a port' })
          .int()
          .min(1)
          .max(65535)
          .default(7101)
          .describe("port at the controller's host where the front listens for agents (default: 7101)"),
      })
      .prefault({}),
    ...commonSettings,
  })
  .superRefine(({ controller, insecure }, context) => {
    if (URL.canParse(controller) && !insecure && isPlainBeyondLoopback(controller))
      context.addIssue({
        code: 'custom',
        path: ['controller'],
        message: `${controller} is plain HTTP beyond loopback: use https, or set "insecure": true where every host of that network is trusted`,
      });
  });

export const agentSpec = {
  name: 'dsr-agent',
  summary:
    "Keeps this real server fit for Direct Server Return: VIPs on lo, ARP suppressed; and reports to the director's controller.",
  configFile: '/etc/dsr/agent.json',
  settings: settingsSchema,
  commands: {
    join: "lets this host into a director's pools, with the line that `dsrctl agent invite` printed there; dsr-agent join --help",
    teardown: 'puts this host back as it was before the agent, and ends',
    doctor:
      'looks this host over, also before it joins, and says what is wrong and what to do; exit code 1 when there is a problem',
  },
  options: { fix: 'with doctor: mends what is safe to mend' },
};
