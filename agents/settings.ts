import { hostname } from 'node:os';
import { z } from 'zod';
import { isNetwork, isPlainBeyondLoopback } from '../src/core/address.ts';
import { nameSchema } from '../src/schema.ts';
import { commonSettings, interfaceName, speedMbit } from '../src/settings.ts';
import { splitOrigin } from '../src/url-schema.ts';

/** What needs no quotes in a web server's configuration. */
const path = (what: string) =>
  z.string().regex(/^\/[A-Za-z0-9._+,/-]*$/, { error: `${what} is an absolute path of letters, digits and ._+,-` });
const command = (usual: string[]) =>
  z
    .array(z.string().min(1), { error: 'a program and its words, as a list' })
    .min(1, { error: 'a program and its words, as a list' })
    .default(usual);

const edgeSchema = z.strictObject({
  root: path('root').optional().describe('folder of the images that this host answers with; allows the engine "edge"'),
  file: path('file')
    .optional()
    .describe(
      "file that is written for nginx, whose http block must include it (default: edge.conf in the state's folder)",
    ),
  cache: path('cache')
    .default('/var/lib/nginx')
    .describe('folder in which nginx keeps what it fetched from the director (default: /var/lib/nginx)'),
  certificate: path('certificate').optional().describe('certificate chain as PEM, for ports that speak TLS'),
  key: path('key').optional().describe('its private key; read by nginx alone'),
  origins: z
    .array(z.string().refine(isNetwork, { error: 'a network such as 192.0.2.10/32' }))
    .optional()
    .describe("networks of directors that requests may be passed on to, besides the controller's own address"),
  // Outside of the agent's own sandbox, where nginx finds what it needs.
  validate: command([
    'systemd-run',
    '--quiet',
    '--wait',
    '--pipe',
    '--collect',
    '/usr/sbin/nginx',
    '-t',
    '-q',
  ]).describe(
    'how nginx is asked whether it takes a configuration (default: systemd-run --quiet --wait --pipe --collect /usr/sbin/nginx -t -q)',
  ),
  reload: command(['systemctl', 'reload', 'nginx']).describe(
    'how nginx is made to read it (default: systemctl reload nginx)',
  ),
});
/** Of an operator who has allowed it. */
export type EdgeSettings = z.infer<typeof edgeSchema> & { root: string };

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
    edge: edgeSchema.prefault({}),
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
